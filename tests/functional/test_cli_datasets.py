"""`polymodal datasets`: what can be built, what is built, and what to do where a program is missing."""

import pytest

from polymodal import registry

NAMES = ("avdigits", "emoji", "movies", "prompts", "sprites", "stamps")


def test_the_list_says_of_each_its_rows_source_licence_and_whether_it_is_built(cli, tmp_path, monkeypatch):
    monkeypatch.setenv("POLYMODAL_CACHE", str(tmp_path))
    built = tmp_path / "datasets/stamps-1"
    built.mkdir(parents=True)
    (built / "table.csv").write_bytes(bytes(2_500_000))
    done = cli("datasets", "list")
    assert (done.code, done.err) == (0, "")
    sections = {section.partition(":")[0]: section for section in done.out.strip().split("\n\n")}
    assert set(NAMES) <= set(sections)
    for name in NAMES:
        recipe = registry.load("datasets", name)()
        for word in (str(recipe.rows), recipe.source, recipe.licence, recipe.synthetic):
            assert word in sections[name]
        assert ("not yet" in sections[name]) == (name != "stamps")
    assert f"built      {built / 'table.csv'}, 2.5 MB" in sections["stamps"]


@pytest.mark.parametrize(("name", "client"), [("stamps", "apt-get"), ("emoji", "npm")])
def test_a_missing_client_is_explained(cli, name, client, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    done = cli("datasets", "build", name, "--folder", tmp_path / "cache")
    assert done.code == 2
    assert "Traceback" not in done.err
    for word in (f"the program {client!r}", "not on the PATH", "Or put a copy of", str(tmp_path / "cache")):
        assert word in " ".join(done.err.split())
    assert not (tmp_path / f"cache/{name}-1").exists()
