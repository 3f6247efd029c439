import pytest
from packed import Clients

from polymodal.datasets._packages import Package, archives, fetch
from polymodal.errors import UsageError

PIP, APT, NPM = Package("pip", "some-wheel", "1.2"), Package("apt-get", "some-deb"), Package("npm", "some-npm", "3.0.0")
FILES = {
    "pip": ("some_wheel-1.2-py3-none-any.whl", PIP),
    "apt-get": ("some-deb_1%3a2-1_all.deb", APT),
    "npm": ("some-npm-3.0.0.tgz", NPM),
}


@pytest.fixture
def clients(tmp_path, monkeypatch):
    return Clients(tmp_path, monkeypatch)


@pytest.fixture
def store(tmp_path):
    folder = tmp_path / "store"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("client", FILES)
def test_a_client_is_called_once_and_its_file_is_kept(client, clients, store):
    name, package = FILES[client]
    clients.add(client, {name: b"content", "other_1.deb": b"no"})
    assert fetch(package, store) == store / name
    assert fetch(package, store).read_bytes() == b"content"
    assert len(clients.calls) == 1
    assert [entry.name for entry in store.iterdir()] == [name]


def test_nothing_of_a_package_runs_and_nothing_is_installed(clients, store):
    for client, (name, package) in FILES.items():
        clients.add(client, {name: b""})
        fetch(package, store)
    assert clients.calls == [
        "pip download --quiet --no-deps --only-binary :all: --dest . some-wheel==1.2",
        "apt-get download --quiet some-deb",
        "npm pack --silent --ignore-scripts some-npm@3.0.0",
    ]


@pytest.mark.parametrize(
    ("package", "words"),
    [(APT, ("'apt-get'", "debian:bookworm")), (NPM, ("'npm'", "Node.js"))],
)
def test_a_missing_client_is_explained_with_the_way_out(package, words, clients, store):
    with pytest.raises(UsageError) as caught:
        fetch(package, store)
    for word in (*words, package.name, "not on the PATH", package.pattern, package.page, str(store)):
        assert word in str(caught.value)


def test_a_file_that_was_put_there_by_hand_needs_no_client(clients, store):
    (store / "some-deb_9_all.deb").write_bytes(b"by hand")
    assert fetch(APT, store).read_bytes() == b"by hand"


def test_pip_without_a_program_is_the_module(clients, store, monkeypatch):
    commands = []
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match="ensurepip"):
        fetch(PIP, store)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    monkeypatch.setattr("subprocess.run", lambda command, **_: commands.append(command) or type("Done", (), _FAILED)())
    with pytest.raises(UsageError):
        fetch(PIP, store)
    assert commands[0][1:4] == ["-m", "pip", "download"]


_FAILED = {"returncode": 1, "stdout": b"", "stderr": b""}


def test_a_failed_client_is_quoted_and_leaves_nothing(clients, store):
    ends = "sys.stderr.write('E: Unable to locate package'); sys.exit(100)"
    clients.add("apt-get", {"some-deb_1_all.deb": b"half"}, ends=ends)
    with pytest.raises(UsageError, match=r"code 100\): E: Unable to locate package.*apt-get update.*some-deb_\*\.deb"):
        fetch(APT, store)
    assert list(store.iterdir()) == []


def test_a_client_that_brings_nothing_is_an_error(clients, store):
    clients.add("npm")
    with pytest.raises(UsageError, match="did not bring some-npm"):
        fetch(NPM, store)


def test_what_came_whole_is_not_fetched_again_after_an_error(clients, store, tmp_path):
    clients.add("pip", {FILES["pip"][0]: b"one"})
    clients.add("npm", ends="sys.exit(1)")
    with pytest.raises(UsageError), archives([PIP, NPM], store):
        pass
    (store / ".partial-x").mkdir()
    (store / ".partial-x" / FILES["npm"][0]).write_bytes(b"half")  # of a process that was killed
    clients.add("npm", {FILES["npm"][0]: b"two"})
    with archives([PIP, NPM], store) as (files, _):
        assert [file.read_bytes() for file in files] == [b"one", b"two"]
    assert [call.split()[0] for call in clients.calls] == ["pip", "npm", "npm"]
    assert not store.exists()


def test_an_error_while_building_keeps_what_was_fetched(clients, store):
    clients.add("npm", {FILES["npm"][0]: b"two"})
    with pytest.raises(ZeroDivisionError), archives([NPM], store):
        raise ZeroDivisionError
    assert (store / FILES["npm"][0]).exists()
