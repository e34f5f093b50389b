"""The closed-form MMD against sampling, textbook formulas, float64 and a second backend."""

import math
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from jaxtyping import TypeCheckError
from scipy.special import hyp1f1
from torch.distributions import Independent, Normal

from regularizers import Gaussian, OneHot, Petals, Point, Prior, Product, Simplex, SwissRoll, _pairs, labelled, product
from regularizers._kernels import KERNELS, ladder
from regularizers._mixture import Embedding, expectation
from regularizers.mmd import MMD

PRIORS = {
    "gaussian": Gaussian(3),
    "petals": Petals(),
    "one_hot": OneHot(5),
    "labelled": labelled(Petals(), 0.2),
    "swiss_roll": SwissRoll(),
    "joint": product([Gaussian(2), OneHot(3)]),
}
priors = pytest.mark.parametrize("prior", PRIORS.values(), ids=PRIORS)
kernels = pytest.mark.parametrize("kernel", KERNELS)
compiler = pytest.mark.skipif(
    not shutil.which("g++") or " " in sys.prefix,
    reason="KeOps needs a compiler, and cannot compile from a folder with a space in its name",
)


def penalty(prior, codes, kernel="imq", **options):
    return MMD(prior, kernel, **options)(codes, Point(codes))


def double_sum(mmd, a, b):
    return mmd.kernel.values(torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist").square())


@kernels
def test_expectation_is_the_monte_carlo_mean_with_full_covariance(kernel):
    k = ladder(Gaussian(3), kernel, None)
    root = torch.randn(3, 3, dtype=torch.float64)
    delta = torch.tensor([[1.0, -0.5, 2.0]], dtype=torch.float64)
    x = delta + torch.randn(400_000, 3, dtype=torch.float64) @ root.T
    values = k.values(x.square().sum(1))
    lam, U = torch.linalg.eigh(root @ root.T)
    value, *_ = expectation(delta @ U, lam[None], k)
    assert abs(float(value) - values.mean()) < 5 * values.std() / math.sqrt(len(x))


@priors
@kernels
def test_sampled_mmd_tends_to_the_closed_form(prior, kernel):
    n, m = 200, 1500
    mmd = MMD(prior, kernel)
    z, y = prior.sample(n).double() + 0.3, prior.sample(m).double()
    mu = double_sum(mmd, z, y)  # (n, m)
    noise = 2 * mu.mean(0).std() / math.sqrt(m)
    zz = (double_sum(mmd, z, z).sum() - n * mmd.kernel.diagonal) / (n * (n - 1))
    expected = zz - 2 * mu.mean() + mmd.mu.self_energy
    assert abs(float(mmd(z, Point(z)) - expected)) < 5 * noise
    yy = double_sum(mmd, y, y)
    yy = (yy.sum() - m * mmd.kernel.diagonal) / (m * (m - 1))
    assert abs(mmd.mu.self_energy - yy) < 0.05 * abs(yy)


def test_the_error_of_sampling_falls_like_one_over_m():
    prior, n = Petals(), 50
    z = prior.sample(n).double() + 0.3
    mmd = MMD(prior, "gaussian")
    zz = (double_sum(mmd, z, z).sum() - n * mmd.kernel.diagonal) / (n * (n - 1))
    exact = float(mmd(z, Point(z)))

    def squared_error(m):
        y = prior.sample(m).double()
        yy = (double_sum(mmd, y, y).sum() - m * mmd.kernel.diagonal) / (m * (m - 1))
        return float(zz - 2 * double_sum(mmd, z, y).mean() + yy - exact) ** 2

    small, large = (sum(squared_error(m) for _ in range(60)) / 60 for m in (50, 400))
    assert 4 < small / large < 16


def test_a_standard_normal_gives_the_textbook_formula():
    d, c = 8, 0.7
    l2 = c * d
    z = torch.randn(40, d, dtype=torch.float64) + 0.5
    k = torch.exp(-torch.cdist(z, z).square() / (2 * l2))
    cross = (l2 / (1 + l2)) ** (d / 2) * torch.exp(-z.square().sum(1) / (2 * (1 + l2))).mean()
    expected = (k.sum() - 40) / (40 * 39) - 2 * cross + (l2 / (2 + l2)) ** (d / 2)
    torch.testing.assert_close(penalty(Gaussian(d), z, "gaussian", scales=[c]), expected, rtol=1e-9, atol=1e-12)


def test_a_one_hot_prior_gives_the_textbook_formula():
    K, l2 = 5, 0.25
    y = torch.softmax(torch.randn(30, K, dtype=torch.float64), 1)
    mmd = MMD(OneHot(K), "gaussian", scales=[l2 / (K * OneHot(K).variance)], statistic="v")
    assert mmd.mu.self_energy == pytest.approx(1 / K + (1 - 1 / K) * math.exp(-1 / l2), rel=1e-6)
    cross = torch.exp(-torch.cdist(y, torch.eye(K, dtype=torch.float64)).square() / (2 * l2)).mean()
    expected = torch.exp(-torch.cdist(y, y).square() / (2 * l2)).mean() - 2 * cross + mmd.mu.self_energy
    torch.testing.assert_close(mmd(y, Point(y)), expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("statistic", ["u", "v"])
def test_the_norm_adds_the_term_of_its_own_kernel_on_priors_of_points(statistic):
    n, lam, vertices = 30, 7.0, 2 * torch.eye(4)
    y = torch.softmax(torch.randn(n, 4, dtype=torch.float64), 1)
    points = Prior(torch.full((4,), 0.25), vertices, torch.zeros(4, 4, 4))
    s = y.square().sum(1) / 4  # the vertices have |y|² = 4
    k = lam * s[:, None] * s
    qq = k.mean() if statistic == "v" else (k.sum() - k.trace()) / (n * (n - 1))
    added = penalty(points, y, statistic=statistic, norm=lam) - penalty(points, y, statistic=statistic)
    torch.testing.assert_close(added, qq - 2 * lam * s.mean() + lam, rtol=1e-9, atol=1e-12)
    assert penalty(points, vertices[[0, 1, 2, 3]], norm=lam) == penalty(points, vertices[[0, 1, 2, 3]])
    for prior in (Gaussian(4), product([Gaussian(2), OneHot(2)])):
        assert penalty(prior, y, norm=lam) == penalty(prior, y)


def test_the_energy_distance_has_the_exact_self_energy_of_a_normal():
    """E|y - y'| = 2 Γ((d+1)/2) / Γ(d/2)."""
    for d in (1, 2, 8):
        exact = 2 * math.gamma((d + 1) / 2) / math.gamma(d / 2)
        embedding = Embedding(Gaussian(d), ladder(Gaussian(d), "energy", None))
        assert embedding.self_energy == pytest.approx(-exact, rel=1e-6)


@pytest.mark.parametrize("kernel", ["imq", "energy"])
def test_the_quadrature_is_exact_at_points(kernel):
    prior = OneHot(4)
    k = ladder(prior, kernel, None)
    r = torch.logspace(-2, 1.3, 60, dtype=torch.float64)[:, None] * math.sqrt(prior.dim * prior.variance)
    delta = torch.nn.functional.pad(r, (0, 3))
    value, *_ = expectation(delta, torch.zeros_like(delta), k)
    torch.testing.assert_close(value, k.values(r[:, 0].square()), rtol=2e-6, atol=0)


@kernels
def test_the_unbiased_statistic_has_mean_zero_under_the_prior(kernel):
    prior = PRIORS["labelled"]
    mmd = MMD(prior, kernel)
    values = torch.stack([mmd(z, Point(z)) for z in (prior.sample(60) for _ in range(400))])
    assert abs(values.mean()) < 4 * values.std() / 20


def test_sampling_the_prior_as_often_as_the_codes_quadruples_the_variance():
    prior, n = Gaussian(8), 50
    mmd = MMD(prior)
    closed, sampled = [], []
    for _ in range(1500):
        z, y = prior.sample(n), prior.sample(n)
        closed.append(mmd(z, Point(z)))
        zz, zy, yy = double_sum(mmd, z, z), double_sum(mmd, z, y), double_sum(mmd, y, y)
        off = [(k.sum() - n * mmd.kernel.diagonal) / (n * (n - 1)) for k in (zz, yy)]
        sampled.append(sum(off) - 2 * zy.mean())
    assert 3.2 < torch.stack(sampled).var() / torch.stack(closed).var() < 4.8


@priors
@kernels
def test_the_v_statistic_is_not_negative_and_tied_to_the_u_statistic(prior, kernel):
    n = 20
    u, v = MMD(prior, kernel), MMD(prior, kernel, statistic="v")
    for scale in (0.0, 0.5, 1.0):
        z = scale * prior.sample(n).double()
        cross = 2 / n * v.mu.sum(z)[0]
        qq = [float(m(z, Point(z)) + cross - m.mu.self_energy) for m in (u, v)]
        assert float(v(z, Point(z))) > -1e-6
        assert qq[1] == pytest.approx(v.kernel.diagonal / n + (1 - 1 / n) * qq[0], rel=1e-9)


def test_equal_components_are_one_gaussian_and_motions_change_nothing():
    one = Prior(torch.ones(1), torch.randn(1, 3), torch.linalg.cholesky(torch.eye(3)[None] + 0.5))
    many = Prior(torch.tensor([0.2, 0.5, 0.3]), one.means.repeat(3, 1), one.scale_tril.repeat(3, 1, 1))
    z = torch.randn(50, 3)
    Q, shift = torch.linalg.qr(torch.randn(3, 3))[0], torch.tensor([5.0, -3.0, 2.0])
    covariance = Q @ one.covariances @ Q.T
    moved = Prior(one.weights, one.means @ Q.T + shift, torch.linalg.cholesky(covariance))
    for kernel in KERNELS:
        value = penalty(one, z, kernel)
        torch.testing.assert_close(penalty(many, z, kernel), value, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(penalty(moved, z @ Q.T + shift, kernel), value, rtol=1e-4, atol=1e-6)


@priors
@kernels
def test_gradients_are_those_of_finite_differences(prior, kernel):
    z = prior.sample(4).double() + 0.1 * torch.randn(4, prior.dim, dtype=torch.float64)
    mean, std = z.clone().requires_grad_(), (0.2 + torch.rand_like(z)).requires_grad_()
    # The energy kernel's value is a difference of sums near 1e4, and so exact to 1e-11: smaller steps see its rounding.
    eps = 1e-5 if kernel == "energy" else 1e-6
    for statistic in "uv":
        mmd = MMD(prior, kernel, statistic=statistic, normalise=prior.dim == 3)
        assert torch.autograd.gradcheck(lambda z, mmd=mmd: mmd(z, Point(z)), z.requires_grad_(), eps=eps)
        gaussian = lambda m, s, mmd=mmd: mmd(m, Independent(Normal(m, s, validate_args=False), 1))  # noqa: E731
        assert torch.autograd.gradcheck(gaussian, (mean, std))


@pytest.mark.parametrize(
    ("prior", "kernel"),
    [(Gaussian(2), "imq"), *((Petals(), kernel) for kernel in KERNELS)],
    ids=["diagonal", *(f"full-{kernel}" for kernel in KERNELS)],
)
def test_integrated_posteriors_are_the_mean_over_their_samples(prior, kernel):
    mean, std = prior.sample(30).double(), 0.2 + torch.rand(30, 2, dtype=torch.float64)
    posterior = Independent(Normal(mean, std), 1)
    mmd, sampled = MMD(prior, kernel), MMD(prior, kernel, integrate=False)
    values = torch.stack([sampled(z, posterior) for z in posterior.rsample((1500,))])
    assert abs(float(mmd(mean, posterior) - values.mean())) < 5 * values.std() / math.sqrt(len(values))
    tight = Independent(Normal(mean, torch.full_like(mean, 1e-5)), 1)
    torch.testing.assert_close(mmd(mean, tight), sampled(mean, tight), rtol=1e-4, atol=1e-6)


def test_a_product_of_points_and_gaussians_is_integrated():
    prior = product([Gaussian(2), OneHot(3)])
    mean, logits = torch.randn(20, 2), torch.randn(20, 3)
    wide = Product([Independent(Normal(mean, 1.0), 1), Simplex(logits)])
    narrow = Product([Point(mean), Simplex(logits)])
    mmd = MMD(prior)
    assert mmd(wide.rsample(), wide) == mmd(wide.mean, wide) != mmd(narrow.mean, narrow)


@kernels
def test_a_step_down_the_gradient_brings_particles_closer(kernel):
    """A penalty with the wrong sign was published and stayed for two years."""
    prior = PRIORS["petals"]
    z = (prior.sample(200) + 1).requires_grad_()
    judge = "energy" if kernel != "energy" else "imq"
    before = penalty(prior, z, judge).item()
    optimizer = torch.optim.Adam([z], lr=0.05)
    for _ in range(40):
        optimizer.zero_grad()
        penalty(prior, z, kernel).backward()
        optimizer.step()
    assert penalty(prior, z, judge).item() < 0.5 * before


def test_every_kernel_answers_a_shift_on_a_comparable_scale():
    """Dividing twice by n² once left squared exponentials five orders below inverse multiquadrics."""
    prior = Gaussian(16)
    z = prior.sample(1000) + 1
    values = [float(penalty(prior, z, kernel, normalise=True)) for kernel in ("imq", "gaussian")]
    assert 0.1 < values[0] / values[1] < 10
    l2 = 16.0
    gap = [(l2 / (2 + l2)) ** 8 * (1 - math.exp(-16 * s**2 / (2 * (2 + l2)))) * 2 for s in (0.5, 1.0)]
    for shift, exact in zip((0.5, 1.0), gap, strict=True):
        n = 3000
        value = penalty(prior, prior.sample(n) + shift, "gaussian", scales=[1])
        assert float(value) == pytest.approx(exact, rel=0.1)


def test_scales_of_any_number_type_and_extreme_codes_stay_finite():
    z = torch.randn(20, 2)
    as_int, as_float = (penalty(Gaussian(2), z, scales=[s]) for s in (1, 1.0))
    assert as_int == as_float
    for kernel in KERNELS:
        for codes in (1e4 * z, 1e-12 * z, torch.zeros(20, 2), 1e4 + z):
            codes = codes.clone().requires_grad_()
            value = penalty(Gaussian(2), codes, kernel)
            value.backward()
            assert value.isfinite()
            assert codes.grad.isfinite().all()


@kernels
def test_float32_is_accurate_far_from_the_origin(kernel):
    far = Prior(torch.ones(1), torch.full((1, 3), 1000.0), torch.eye(3)[None])
    z = torch.randn(500, 3)
    torch.testing.assert_close(penalty(far, z + 1000, kernel), penalty(Gaussian(3), z, kernel), rtol=1e-3, atol=1e-4)
    exact = z.double().requires_grad_()
    rough = z.clone().requires_grad_()
    for codes in (exact, rough):
        (penalty(Gaussian(3), codes + 0.2, kernel) * len(z)).backward()
    torch.testing.assert_close(rough.grad.double(), exact.grad, atol=1e-5, rtol=1e-4)


def test_blocks_add_up_and_memory_is_flat():
    z = torch.randn(700, 4)
    program = (
        "import resource, torch; from regularizers import Gaussian, Point;"
        "from regularizers.mmd import MMD; torch.set_num_threads(1); peak = lambda: "
        "resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024; m = MMD(Gaussian(4)); z = torch.randn(200, 4);"
        "m(z, Point(z)); before = peak(); z = torch.randn(10_000, 4, requires_grad=True);"
        "m(z, Point(z)).backward(); print(peak() - before)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 100  # MB; one kernel matrix would be 400
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > 0
    few = z.double()
    k = ladder(Gaussian(4), "imq", None)
    direct = (k.values(torch.cdist(few, few).square()).sum() - 700 * k.diagonal) / (700 * 699)
    mmd = MMD(Gaussian(4))
    cross = 2 / 700 * mmd.mu.sum(few)[0]
    torch.testing.assert_close(mmd(few, Point(few)), direct - cross + mmd.mu.self_energy)


def test_it_refuses_what_it_cannot_do():
    z = torch.randn(5, 2)
    with pytest.raises(ValueError, match="at least 2"):
        penalty(Gaussian(2), z[:1])
    assert penalty(Gaussian(2), z[:1], statistic="v") >= 0
    wrong = {"kernel": "rbf", "statistic": "w", "scales": [0], "backend": "gpu"}
    for option, value in wrong.items():
        # Where annotations are checked, as here, they refuse it first.
        with pytest.raises((ValueError, TypeCheckError), match=option):
            MMD(Gaussian(2), **{option: value})
    with pytest.raises((ValueError, TypeCheckError), match="scales"):
        MMD(Gaussian(2), scales=[])
    point = Prior(torch.ones(1), torch.zeros(1, 2), torch.zeros(1, 2, 2))
    assert "one point" in MMD.unsupported(point, "deterministic")
    with pytest.raises(ValueError, match="single point"):
        MMD(point)
    z.requires_grad_()
    [first] = torch.autograd.grad(penalty(Gaussian(2), z), z, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiated twice"):
        (first.sum() + z.sum()).backward()


def test_a_missing_keops_falls_back_and_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "pykeops", None)
    z = torch.randn(50, 2)
    mmd = MMD(Gaussian(2), backend="keops")
    assert mmd(z, Point(z)) == penalty(Gaussian(2), z, backend="dense")
    assert mmd.describe()["backend"] == "dense"
    assert "KeOps failed" in mmd.describe()["fallback"]


@kernels
def test_the_formula_for_keops_is_the_kernel_and_its_slope(kernel):
    """The lazy formulas in plain tensors, against the values and torch's derivative of them."""
    k = MMD(Gaussian(3), kernel, normalise=True).kernel
    r2 = torch.rand(50, dtype=torch.float64, requires_grad=True)
    value, slope = k.lazy(r2)
    [derivative] = torch.autograd.grad(k.values(r2).sum(), r2)
    torch.testing.assert_close(value, k.values(r2))
    torch.testing.assert_close(slope, derivative)


@pytest.mark.slow
@compiler
@pytest.mark.timeout(900)  # a compilation, 10 s alone
def test_keops_agrees_in_value_and_gradient_beside_a_poisoned_cache(tmp_path):
    """In its own process: the shared folder is broken in three ways, none of which KeOps survives."""
    shared = tmp_path / ".cache" / "keops2.3"
    probe = "import keopscore; print(keopscore.config.get_build_folder())"
    environment = {k: v for k, v in os.environ.items() if k != "KEOPS_CACHE_FOLDER"} | {"HOME": str(tmp_path)}
    environment |= {"PYKEOPS_VERBOSE": "0", "PYTHONWARNINGS": "ignore"}

    def python(program):
        return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)

    folder = Path(python(probe).stdout.splitlines()[-1])
    assert folder.is_relative_to(shared)
    (folder / "LoadKeOps_cpp_class_cache.pkl").write_bytes(b"")
    assert python("import pykeops").returncode  # the poison works
    done = python(KEOPS)
    assert done.returncode == 0, done.stderr
    assert not [*folder.glob("*.so")]


# The kernel that is infinitely steep at 0; the formulas of all three are those of `lazy`, above.
KEOPS = """
import torch
from regularizers import Gaussian
from regularizers import Point
from regularizers.mmd import MMD
results = []
for backend in ("dense", "keops"):
    z = (torch.randn(700, 2, generator=torch.Generator().manual_seed(0)) + 0.5).requires_grad_()
    mmd = MMD(Gaussian(2), "energy", backend=backend)
    value = mmd(z, Point(z))
    (700 * value).backward()
    assert mmd.describe() == {"backend": backend}, mmd.describe()
    results.append((value.detach(), z.grad))
for dense, keops in zip(*results):
    torch.testing.assert_close(dense, keops, atol=1e-5, rtol=1e-5)
"""


def aggregated(shape, n):
    """n codes in 3 dimensions of a shape that strains float32 distances."""
    z = torch.randn(n, 3)
    where = torch.arange(n)[:, None]
    return {
        "normal": z,
        "far from the origin": z + 1000,
        "tight clusters": 10 * torch.randn(20, 3)[where[:, 0] % 20] + 1e-4 * z,
        "repeated": z[where[:, 0] % (n // 5)],
        "with an outlier": torch.where(where == 7, 1e4, z),
        "two far clusters": z + 1e4 * (where % 2),
        "nearly vertices": torch.eye(3)[where[:, 0] % 3] + 1e-7 * z,
        "on a line": z[:, :1] * torch.tensor([1.0, 0.0, -2.0]),
        "all in one point": torch.ones(n, 3),
    }[shape]


# Relative errors allowed in float32.
SHAPES = {
    "normal": 1e-6,
    "far from the origin": 1e-4,
    "tight clusters": 1e-4,
    "repeated": 1e-5,
    "with an outlier": 1e-5,
    "two far clusters": 1e-4,
    "on a line": 1e-4,
    "nearly vertices": 2e-3,
    "all in one point": 1e-6,
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kernel", ["imq", "gaussian", "energy"])
@pytest.mark.parametrize("n", [256, 900])  # one block of codes, and four
def test_pairs_agree_with_float64_on_strained_codes(shape, kernel, n):
    k, z = ladder(Gaussian(3), kernel), aggregated(shape, n)
    total, gradient = _pairs.dense_pair_sum(z, k)
    exact = (z.double() - z.double().mean(0)).requires_grad_()
    expected = 0.0
    for rows in exact.split(100):
        r2 = (rows[:, None] - exact).square().sum(-1)
        expected = expected + k.values(torch.where(r2 == 0, 1e-300, r2)).sum()
    expected = expected - n * k.diagonal
    [slope] = torch.autograd.grad(expected, exact)
    value = float(expected.detach())
    assert abs(float(total) - value) <= SHAPES[shape] * max(abs(value), 1.0)
    assert float((gradient - slope).norm()) <= SHAPES[shape] * max(float(slope.norm()), n)


def distance_to_normal(x, variance):
    """E|x - y| over y ~ N(0, variance): Kummer's function."""
    D = x.shape[1]
    constant = math.sqrt(2 * variance) * math.exp(math.lgamma((D + 1) / 2) - math.lgamma(D / 2))
    return torch.from_numpy(constant * hyp1f1(-0.5, D / 2, -x.square().sum(1).numpy() / (2 * variance)))


def mean_distance(x, prior):
    """E|x - y| over y ~ p, a normal distribution or equally likely points."""
    if prior.scale_tril.any():
        return distance_to_normal(x, prior.variance)
    return (x[:, None] - prior.means.double()).norm(dim=-1).mean(1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("distance", [0.0, 1e2, 1e3, 1e5])
@pytest.mark.parametrize("far", [1, 64])
@pytest.mark.parametrize("prior", [Gaussian(8), OneHot(10)], ids=["gaussian", "one_hot"])
def test_the_energy_distance_is_exact_at_any_distance(prior, far, distance, dtype):
    """Its quadrature once ended there: the loss fell without bound, and the far code was pushed outwards."""
    z = prior.sample(64).double()
    z[:far, 0] += distance
    z = z.to(dtype).requires_grad_()
    mmd = MMD(prior, "energy")
    value = mmd(z, Point(z))
    [gradient] = torch.autograd.grad(value, z)
    exact = z.detach().double()
    pairs = (exact[:, None] - exact).norm(dim=-1).sum() / (64 * 63)
    expected = 2 * mean_distance(exact, prior).mean() - pairs + mmd.mu.self_energy
    assert abs(value.item() - float(expected)) < 1e-5 * max(1, 2 * distance * far / 64)
    for i, j in ((0, 0), (0, 1), (63, 0)):  # by finite differences, of what is far in one dimension
        step = torch.zeros_like(exact)
        step[i, j] = 1e-3
        cross = [mean_distance((exact + sign * step)[i : i + 1], prior).item() for sign in (1, -1)]
        within = [(exact[i] + sign * step[i] - exact[torch.arange(64) != i]).norm(dim=1).sum() for sign in (1, -1)]
        slope = 2 * (cross[0] - cross[1]) / 64 - 2 * (within[0] - within[1]) / (64 * 63)
        assert abs(float(gradient[i, j]) - float(slope) / 2e-3) < 1e-5 + 1e-8 * distance


@pytest.mark.parametrize("width", [1.0, 1e3, 1e6])
def test_the_energy_distance_of_posteriors_is_exact_at_any_width(width):
    prior, mean = Gaussian(8), torch.randn(40, 8, dtype=torch.float64)
    mmd = MMD(prior, "energy")
    std = torch.full_like(mean, width, requires_grad=True)
    value = mmd(mean, Independent(Normal(mean, std), 1))
    value.backward()

    def expected(std):
        cross = distance_to_normal(mean, 1 + std**2)
        apart = (mean[:, None] - mean)[~torch.eye(40, dtype=torch.bool)]
        within = distance_to_normal(apart, 2 * std**2).sum()
        return float(2 * cross.mean() - within / (40 * 39) + mmd.mu.self_energy)

    assert value.item() == pytest.approx(expected(width), rel=1e-6, abs=1e-6 * width)
    h = 1e-4 * width
    assert std.grad.sum().item() == pytest.approx((expected(width + h) - expected(width - h)) / (2 * h), abs=1e-5)


@priors
@kernels
@pytest.mark.parametrize("outlier", [None, 1e4])
def test_the_embedding_is_the_formula_in_float64(prior, kernel, outlier):
    if kernel == "energy" and outlier:
        pytest.skip("so far out the formula's quadrature is wrong, and not used")
    embedding = Embedding(prior, ladder(prior, kernel))
    z = prior.sample(1500) + 0.1
    if outlier is not None:
        z[7] = outlier
    ours = embedding.sum(z)
    exact = z.double().requires_grad_()
    t, a = ladder(prior, kernel).mixture()
    expected = 0.0
    for mean, covariance, weight in zip(prior.means.double(), prior.covariances.double(), prior.weights, strict=True):
        lam, U = torch.linalg.eigh(covariance)
        spread = 1 + 2 * t * lam.clamp(min=0)[:, None]
        exponent = -((exact - mean) @ U).square() @ (t / spread) - 0.5 * spread.log().sum(0)
        terms = exponent.expm1() if embedding.kernel.homogeneous else exponent.exp()
        expected = expected + weight * (terms @ a).sum()
    [slope] = torch.autograd.grad(expected, exact)
    for computed, reference in zip(ours, (expected.detach(), slope), strict=True):
        torch.testing.assert_close(computed.double(), reference, rtol=1e-6, atol=1e-6 * float(reference.abs().max()))
