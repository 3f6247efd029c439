"""Names with a dot: quoted in a path; the unquoted spelling is answered with the quoted one."""

import shlex

import pytest

import polymodal as pm
from polymodal.config.paths import join_path, split_assignment, split_path
from polymodal.config.run_config import RunConfig, override
from polymodal.errors import ConfigError

NAMES = ["user.id", "größe №1 / 测试", "a=b.c", '5" wide.', "it's.here", '"said"', "plain", "size [mm/day]"]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_survives_as_a_key(name):
    path = join_path(["columns", name, "modality"])
    assert split_path(path) == ["columns", name, "modality"]
    assert split_assignment(f"{path}={{name: text}}=x") == (path, "=", "{name: text}=x")
    column = override(RunConfig(), [f"{path}=category"]).columns[name]
    assert column.modality.name == "category"


@pytest.mark.parametrize(
    ("given", "quoted"),
    [
        ("columns.user.id.modality=category", 'columns."user.id".modality=category'),
        ("columns.a.b.c.encoder.width=8", 'columns."a.b.c".encoder.width=8'),
        ("columns.user.id={modality: category}", 'columns."user.id"={modality: category}'),
        ('columns."user.id.modality=category', 'columns."user.id".modality=category'),
        ('columns.user.id".modality=category', 'columns."user.id".modality=category'),
        ("columns.'user.id.modality=category", 'columns."user.id".modality=category'),
        ("warm_start.columns.user.id=uid", 'warm_start.columns."user.id"=uid'),
    ],
)
def test_the_unquoted_spelling_is_answered_with_what_to_type(given, quoted):
    with pytest.raises(ConfigError) as error:
        override(RunConfig(), [given])
    *_, option, word = shlex.split(str(error.value).partition("into quotes: ")[2])
    assert (option, word) == ("--set", quoted)
    override(RunConfig(), [word])


def test_a_wrong_setting_of_a_column_is_no_name_with_a_dot():
    for assignment in ("columns.photo.modalty=image", "columns.photo.size=16", "columns.photo={size: 16}"):
        with pytest.raises(ConfigError, match=r"unknown key 'columns\.photo"):
            override(RunConfig(), [assignment])


def test_an_error_names_the_path_as_it_is_typed():
    with pytest.raises(ConfigError, match=r'columns\."user\.id"\.modality: no modality'):
        override(RunConfig(), ['columns."user.id".modality=categry'])


def test_parameters_of_an_estimator_take_the_same_paths():
    path = 'columns."user.id".modality'
    model = pm.Classifier().set_params(**{path: "category"})
    assert model.get_params()[path] == "category"
    table = {"user.id": [*range(20)] * 2, "size": [1.0, 9.0] * 20, "kind": ["a", "b"] * 20}
    fitted = model.set_params(epochs=1, **{"inputs.keep": "all"}).fit(table, y="kind")
    assert {column.name: column.modality for column in fitted.bundle_.schema.features()}["user.id"] == "category"
    with pytest.raises(ConfigError, match=r'columns\."user\.id"\.modality'):
        pm.Classifier().set_params(**{"columns.user.id.modality": "category"})


@pytest.mark.parametrize("names", [("train.balance", "train.balance.alpha"), ("train.balance.alpha", "train.balance")])
def test_parameters_may_be_set_in_any_order(names):
    values = {"train.balance": "ogm_ge", "train.balance.alpha": 0.25}
    model = pm.Classifier(epochs=1).set_params(**{name: values[name] for name in names})
    table = {"note": ["red ball", "blue cube"] * 10, "size": [1.0, 9.0] * 10, "kind": ["a", "b"] * 10}
    model.fit(table, y="kind")
    assert model.bundle_.config.train.balance.alpha == 0.25
