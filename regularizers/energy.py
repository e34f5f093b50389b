"""Energy distance to prior samples (Székely & Rizzo, 2013), by geomloss."""

from regularizers import Regularizer, rms, too_few
from regularizers._keops import private_folder


class Energy(Regularizer):
    r"""The energy distance between the codes $z$ and as many fresh prior samples $y$.

    $$\big(2\,\mathbb{E}\|z - y\| - \mathbb{E}\|z - z'\| - \mathbb{E}\|y - y'\|\big) / s$$

    with $s$ the prior's standard deviation per dimension: an MMD² whose kernel, $-\|z - y\|$, has
    no bandwidth, hence no hyperparameter. It is the V-statistic (pairs include $i = j$), so it is
    never negative and pulls codes together by a factor $1 - 1/n$ too much. The factor 2 in the
    code undoes the library's one half. `forward` raises a ValueError for fewer than 2 codes.

    At weight 1: the energy distance in units of $s$.
    """

    title = "Energy distance"
    cites = ("szekely2013", "feydy2019")

    def __init__(self, prior):
        super().__init__(prior)
        # The backend is named because "auto" falls back without a word.
        private_folder()  # the import below would open the one that all processes write
        from geomloss import SamplesLoss

        self.divergence = SamplesLoss("energy", backend="tensorized")

    def forward(self, codes, posterior):
        too_few(codes)
        s = rms(self.prior)
        return 2 * self.divergence(codes / s, self.prior.sample(len(codes)) / s)

    def describe(self):
        return {"backend": "geomloss dense"}
