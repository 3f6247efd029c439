"""What learns from which rows, at which time; and what happens where something is missing or stopped."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import Ridge
from sklearn.svm import LinearSVC
from timing_tables import ROWS, TABLE, run, settings

import polymodal as pm
from polymodal import bundle, config
from polymodal.encoders.text.shallow import Shallow
from polymodal.errors import BundleError, ConfigError
from polymodal.fusions.average import Average, AverageConfig
from polymodal.fusions.concat import Concat, ConcatConfig
from polymodal.fusions.tensor import Tensor, TensorConfig
from polymodal.layers.simple import Simple
from polymodal.model import Model
from polymodal.predict import predict
from polymodal.run import train
from polymodal.tasks.classify import Classify, ClassifyConfig
from polymodal.timings._combining import learn_combination
from polymodal.timings._opinions import Branch, Stack
from polymodal.timings.fuse_then_train import FusedFeatures
from polymodal.timings.late import Late
from polymodal.types import Tokens

LATE = {"name": "late", "folds": 0}


def on(side: str) -> np.ndarray:
    return np.flatnonzero(np.array(TABLE["side"]) == side)


@pytest.fixture
def combined(monkeypatch):
    """Numbers of the rows that combinations learned from, by their targets."""
    seen = []

    def learn(model, opinions, target, weight, *, seed):
        seen.append({name: tokens.mask[:, 0].numpy() for name, tokens in opinions.items()} | {"target": target.numpy()})
        return learn_combination(model, opinions, target, weight, seed=seed)

    monkeypatch.setattr("polymodal.timings.late.learn_combination", learn)
    return seen


def test_weights_are_learned_from_validation_rows_and_kept_through_the_refit(combined):
    trained = run(timing=LATE, fusion="weighted", train={"epochs": 2, "final": "refit"}).bundle
    (learned,) = combined
    expected = np.array(TABLE["label"])[on("validation")] == "b"
    assert np.array_equal(learned["target"], expected.astype(np.float32))
    assert np.array_equal(learned["words"], [TABLE["words"][row] is not None for row in on("validation")])
    weights = trained.model.fusion.fusion.scores
    assert not torch.equal(weights, torch.zeros_like(weights))


def test_few_validation_rows_leave_it_to_folds_of_the_training_rows(combined):
    run(timing="late", fusion="weighted", train={"epochs": 1, "final": "best"})
    (learned,) = combined
    assert len(learned["target"]) == len(on("train"))
    assert np.array_equal(np.sort(learned["target"]), np.sort(np.array(TABLE["label"])[on("train")] == "b"))


def test_a_rule_has_nothing_to_learn(combined):
    run(timing="late", fusion="average", train={"epochs": 1})
    assert not combined


def test_every_input_stops_by_itself_and_has_its_own_phase():
    phases = []

    def watch(phase, epochs, metric):
        phases.append((phase, epochs))
        return []

    made = config.make(settings(timing="late", fusion="average", train={"epochs": 3}))
    trained = train(TABLE, made, watch=watch)
    best = {name: history.best_epoch for name, history in trained.branches.items()}
    assert phases == [
        ("train:table", 3), ("train:words", 3), ("refit:table", best["table"]), ("refit:words", best["words"]),
    ]  # fmt: skip
    assert [record.epoch for record in trained.history.epochs] == list(range(1, 7))


class Stop:
    def on_epoch(self, record):
        raise KeyboardInterrupt

    def on_end(self, history):
        pass


def test_ctrl_c_keeps_what_was_learned_and_leaves_the_other_inputs_silent():
    made = config.make(settings(timing="late", fusion="average", train={"epochs": 3}))
    trained = train(TABLE, made, watch=lambda *_: [Stop()])
    assert trained.history.interrupted
    heard = {name: bool(branch.heard) for name, branch in trained.bundle.model.encoders.items()}
    assert heard == {"table": True, "words": False}
    again = bundle.from_bytes(bundle.to_bytes(trained.bundle))
    only_words = {"size": [None], "other": [None], "words": ["red round 1"]}
    assert predict(again, only_words).status == ["prior: no input present"]


def test_an_input_that_no_training_row_has_says_nothing():
    gaps = {**TABLE, "words": [w if s == "test" else None for w, s in zip(TABLE["words"], TABLE["side"], strict=True)]}
    trained = train(gaps, config.make(settings(timing="late", fusion="product", train={"epochs": 1})))
    assert not trained.bundle.model.encoders["words"].heard


def test_the_combination_gives_honest_scores_for_the_rows_that_it_learned_from():
    torch.manual_seed(0)
    rows = 40
    target = torch.randint(0, 2, (rows,)).float()
    noise = {name: Tokens.vector(torch.randn(rows, 2)) for name in "abcdefg"}
    noise["h"] = Tokens.vector(torch.stack([-target, target], dim=1) * 4 - 2 + 0.3 * torch.randn(rows, 2))
    fusion = Concat(ConcatConfig(project=False), widths=dict.fromkeys(noise, 2))
    head = Classify(ClassifyConfig(), width=fusion.width, statistics=Classify.fit_target(["x", "y"], column="y"))
    model = Model({}, {}, fusion, head)
    honest = learn_combination(model, noise, target, torch.ones(rows), seed=0)
    known = model.combine(noise).scores.detach().numpy()
    assert honest.shape == known.shape
    assert not np.allclose(honest, known)
    truth = target.numpy()
    assert head.metrics(honest, truth)["log_loss"] > head.metrics(known, truth)["log_loss"] - 1e-6


@pytest.mark.parametrize(
    ("timing", "task", "fusion", "words"),
    [
        ({"name": "late", "branches": {"word": "svm"}}, "classify", "average", "no input is called 'word'.*'words'"),
        ({"name": "late", "branches": {"words": "logistic"}}, "regress", "average", "the target is a number"),
        ({"name": "late", "branches": {"words": "mlp"}}, "classify", "average", "leave it out"),
        ({"name": "late", "folds": 1}, "classify", "average", "one fold leaves no rows"),
        ("late", "regress", "product", "of predicted numbers, unlike probabilities"),
        ("late", "classify", {"name": "sum", "project": True}, "Set fusion.project to false"),
        ("fuse_then_train", "classify", {"name": "sum", "project": True}, "Set fusion.project to false"),
        ({"name": "fuse_then_train", "predictor": "logistic"}, "regress", "concat", "Use ridge"),
        ({"name": "late", "fold": 2}, "classify", "average", "unknown key 'fold'"),
        ("lat", "classify", "average", "no timing is called 'lat'. Did you mean 'late'"),
    ],
)
def test_what_makes_no_sense_is_said_before_cells_are_read(monkeypatch, timing, task, fusion, words):
    monkeypatch.setattr("polymodal.run.prepare", lambda *_, **__: pytest.fail("read the cells"))
    with pytest.raises(ConfigError, match=words):
        run(task, timing=timing, fusion=fusion)


def test_an_encoder_that_learns_cannot_stand_before_scikit_learn():
    with pytest.raises(ConfigError, match="encoder of the input 'words' has weights to learn"):
        run(timing="fuse_then_train", columns={"words": {"modality": "text", "encoder": "bag"}})


def test_branches_of_scikit_learn_are_saved_as_arrays():
    branches = {"table": "svm_rbf", "words": {"name": "logistic", "c": 3}}
    trained = run(timing={"name": "late", "branches": branches}, fusion="average").bundle
    assert all(isinstance(branch.encoder, Simple) for branch in trained.model.encoders.values())
    again = bundle.from_bytes(bundle.to_bytes(trained))
    np.testing.assert_array_equal(predict(again, TABLE).scores, predict(trained, TABLE).scores)
    assert trained.metrics["test"]["accuracy"]["value"] > 0.7


@pytest.mark.parametrize("timing", [LATE, "fuse_then_train"])
def test_other_estimators_predict_but_are_refused_by_name_when_saved(tmp_path, timing):
    forest = RandomForestClassifier(5, random_state=0)
    given = forest if timing == "fuse_then_train" else {"table": forest}
    said = settings(timing=timing, fusion="average", train={"epochs": 1}) | {"encoders": {}}
    model = pm.Classifier(config=said, predictors=given).fit(TABLE)
    assert model.predict(TABLE).shape == (ROWS,)
    assert model.score(TABLE) > 0.7
    with pytest.raises(BundleError, match="RandomForestClassifier came from Python"):
        model.save(tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize(
    ("estimator", "timing", "words"),
    [
        (RandomForestClassifier(), "intermediate", "this is intermediate"),
        (LinearSVC(), "fuse_then_train", "LinearSVC gives no probabilities"),
        (Ridge(), "fuse_then_train", "Ridge predicts numbers"),
    ],
)
def test_estimators_that_cannot_be_used_are_refused(estimator, timing, words):
    with pytest.raises(ConfigError, match=words):
        run(timing=timing, fusion="concat", estimators={"": estimator})


def test_early_chooses_shallow_encoders_and_keeps_one_that_is_named():
    chosen = run(timing="early", train={"epochs": 1}).bundle
    assert isinstance(chosen.model.encoders["words"], Shallow)
    columns = {"words": {"modality": "text", "encoder": "bag"}}
    named = run(timing="early", columns=columns, train={"epochs": 1}).bundle
    assert {entry.name: entry.encoder for entry in named.schema.inputs} == {"table": "shallow", "words": "bag"}


def test_components_are_those_of_a_principal_component_analysis():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(50, 6)) @ rng.normal(size=(6, 6)) + 3
    fused = FusedFeatures({"a": 6}, Average(AverageConfig(project=False), widths={"a": 3}), components=3)
    tokens = {"a": Tokens.vector(torch.tensor(values, dtype=torch.float32))}
    fused.fit(tokens, simple={"a"}, seed=0)
    found = fused(tokens).values[:, 0].double().numpy()
    centred = values - values.mean(axis=0)
    scores = centred @ np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :3]
    expected = scores / np.sqrt(np.square(scores).sum(axis=1).mean())
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-5)


def test_a_configuration_without_a_timing_is_intermediate():
    made = config.make(settings())
    assert made.timing.name is None
    assert run(train={"epochs": 1}).bundle.config.timing.name == "intermediate"


def test_a_branch_says_what_its_encoder_needs_to_be_built_again():
    branch = Branch(Simple(Simple.Config()), torch.nn.Identity(), num_scores=2)
    assert branch.portable == {}
    assert Late(Late.Config()).encoder("words", "text") is None


def test_a_combination_of_many_large_products_learns():
    torch.manual_seed(0)
    target = torch.randint(0, 10, (60,))
    truth = torch.nn.functional.one_hot(target, 10).float()
    sure = {name: Tokens.vector(torch.log_softmax(9 * truth + 2 * torch.randn(60, 10), dim=1)) for name in "abc"}
    head = Classify(ClassifyConfig(), width=1, statistics=Classify.fit_target([*"0123456789"], column="y"))
    stack = Stack(Tensor(TensorConfig(project=False), widths=dict.fromkeys(sure, 10)), head)
    top = Classify(ClassifyConfig(), width=stack.width, statistics=Classify.fit_target([*"0123456789"], column="y"))
    honest = learn_combination(Model({}, {}, stack, top), sure, target.float(), torch.ones(60), seed=0)
    assert (honest.argmax(axis=1) == target.numpy()).mean() > 0.5
