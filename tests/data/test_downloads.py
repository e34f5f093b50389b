"""Downloads: whole, verified, one at a time; after a failure nothing is left but a line that says what to do."""

import gzip
import hashlib
import os
import tarfile
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bench.data import cifar10, idx, mnist, svhn, verified_files
from bench.data.datasets import DataError, load
from bench.data.declarations import SPLITS
from bench.data.verified_files import Download, fetch, root_folder
from tests.support import small_data

PINS = {name: hashlib.sha256(content).hexdigest() for name, content in small_data.MNIST.items()}


class Server:
    """A web server on this machine, and what it was asked for."""

    def __init__(self, folder):
        self.folder, self.asked = folder, []
        folder.mkdir()

        class Quiet(SimpleHTTPRequestHandler):
            def log_message(this, *_):
                self.asked.append(this.path)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self.server.server_port}/"

    def offer(self, name, content):
        (self.folder / name).write_bytes(content)
        return Download((self.address + name,), hashlib.md5(content).hexdigest(), (name,))

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """The server, with MNIST in small, and the address and checksums of MNIST turned to it."""
    found = Server(tmp_path / "mirror")
    packed = {f"{name}.gz": gzip.compress(content) for name, content in small_data.MNIST.items()}
    monkeypatch.setattr(mnist, "MD5", tuple(found.offer(name, content).md5 for name, content in packed.items()))
    monkeypatch.setattr(mnist, "MIRRORS", (found.address,))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield found
    found.close()


@pytest.fixture
def root(tmp_path):
    return tmp_path / "fresh"


def content_of(dataset):
    return [(getattr(dataset, split).x[:].tolist(), getattr(dataset, split).y.tolist()) for split in SPLITS]


def test_absent_files_are_downloaded_and_are_there_the_next_time(mirror, root, tmp_path):
    small_data.mnist(tmp_path)
    assert content_of(load("mnist", root, pins=PINS)) == content_of(load("mnist", tmp_path, pins=PINS))
    assert {path.name for path in (root / "MNIST/raw").iterdir()} == {*(f"{name}.gz" for name in idx.FILES), ".lock"}
    mirror.close()
    load("mnist", root, pins=PINS)  # needs no server now


def test_only_what_is_absent_is_downloaded(mirror, root):
    small_data.mnist(root)
    absent = root / "MNIST/raw" / idx.FILES[1]
    absent.unlink()
    load("mnist", root, pins=PINS)
    assert {Path(asked).name for asked in mirror.asked} == {f"{idx.FILES[1]}.gz"}


def test_the_next_mirror_is_asked(mirror, root, monkeypatch):
    monkeypatch.setattr(mnist, "MIRRORS", (mirror.address + "gone/", "http://127.0.0.1:9/", mirror.address))
    load("mnist", root, pins=PINS)


def test_svhn_is_downloaded_as_far_as_wanted(mirror, root, monkeypatch, tmp_path):
    pins = small_data.svhn(tmp_path)
    for path in (tmp_path / "SVHN").iterdir():
        mirror.offer(path.name, path.read_bytes())
    monkeypatch.setattr(svhn, "MIRROR", mirror.address)
    load({"svhn": {"extra": False}}, root, pins=pins)
    assert {path.name for path in (root / "SVHN").iterdir()} == {"train_32x32.mat", "test_32x32.mat", ".lock"}
    mirror.offer("extra_32x32.mat", b"<html>")
    with pytest.raises(DataError, match=r"the files extra_32x32\.mat, .*download failed"):
        load("svhn", root, pins=pins)


def test_an_archive_is_unpacked_to_the_files_that_it_gives(mirror, root, monkeypatch, tmp_path):
    pins = small_data.cifar10(tmp_path)
    with tarfile.open(tmp_path / "packed.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "cifar-10-batches-py", "cifar-10-batches-py")
    download = mirror.offer("packed.tar.gz", (tmp_path / "packed.tar.gz").read_bytes())
    monkeypatch.setattr(cifar10, "ARCHIVE", download._replace(names=tuple(pins)))
    assert content_of(load("cifar10", root, pins=pins)) == content_of(load("cifar10", tmp_path, pins=pins))
    assert {path.name for path in (root / "cifar-10-batches-py").iterdir()} == {*pins, ".lock"}


def captive_portal(mirror):
    for path in mirror.folder.iterdir():
        path.write_bytes(b"<html>log in first</html>")


def one_file_is_damaged(mirror):
    (mirror.folder / f"{idx.FILES[0]}.gz").write_bytes(b"damaged")


def not_found(mirror):
    for path in mirror.folder.iterdir():
        path.unlink()


# pooch leaves the connection of a file that it refuses to the garbage collector
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("fault", [captive_portal, not_found, one_file_is_damaged, Server.close])
def test_a_failed_download_leaves_no_file_but_a_line_that_says_what_to_do(root, mirror, fault):
    fault(mirror)
    with pytest.raises(DataError, match="download failed") as error:
        load("mnist", root, pins=PINS)
    assert [path.name for path in root.rglob("*") if path.is_file()] == [".lock"]
    for word in (str(root / "MNIST/raw"), "DATA_ROOT", *idx.FILES):
        assert word in str(error.value)
    assert "\n" not in str(error.value)


def test_a_root_that_cannot_be_written_is_named(mirror, tmp_path):
    (tmp_path / "MNIST").write_text("a file where a folder should be")
    with pytest.raises(DataError, match="DATA_ROOT"):
        load("mnist", tmp_path)


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_root_that_is_read_only_is_named(mirror, root):
    root.mkdir(mode=0o500)
    with pytest.raises(DataError, match="Permission denied"):
        load("mnist", root)


def test_one_of_many_downloads_and_leftovers_go(mirror, root, monkeypatch):
    root.mkdir()
    (root / ".download-of-a-dead-process").mkdir()
    download, gate, original = mirror.offer("file", b"whole"), threading.Barrier(6), verified_files.retrieve

    def slow(*arguments):
        time.sleep(0.1)
        return original(*arguments)

    def one():
        gate.wait()
        fetch(root, [download])

    monkeypatch.setattr(verified_files, "retrieve", slow)
    threads = [threading.Thread(target=one) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {path.name for path in root.iterdir()} == {"file", ".lock"}
    assert len(mirror.asked) == 1


def test_the_root_is_the_argument_then_the_environment(monkeypatch):
    monkeypatch.setenv("DATA_ROOT", "/from/$WHERE")
    monkeypatch.setenv("WHERE", "environment")
    assert root_folder("/argument") == Path("/argument")
    assert root_folder() == Path("/from/environment")
    monkeypatch.delenv("DATA_ROOT")
    assert root_folder() == Path("data")
