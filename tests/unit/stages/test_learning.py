"""What learns from which rows, at which time; and what happens where something is missing or stopped."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from played import Played, classify, encoded
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import Ridge
from sklearn.svm import LinearSVC
from stage_tables import ROWS, TABLE, run, settings

import polymodal as pm
from polymodal.bundles import bundle
from polymodal.config import run_config as config
from polymodal.encoders.text.embedding import Embedding
from polymodal.errors import BundleError, ConfigError
from polymodal.fusions.average import Average, AverageConfig
from polymodal.inference.predictor import predict
from polymodal.layers.handcrafted import Handcrafted
from polymodal.metrics.rows import RowStatistics
from polymodal.models.decisions import Decisions
from polymodal.models.stage import stage_of
from polymodal.pipeline.run import train
from polymodal.pipeline.trainer import Trainer
from polymodal.stages.fuse_then_train import FusedFeatures
from polymodal.types import Scores, Tokens

LATE = {"name": "late", "folds": 0}


def on(side: str) -> np.ndarray:
    return np.flatnonzero(np.array(TABLE["side"]) == side)


@dataclass
class Combined:
    """What combinations learned from.

    Attributes:
        rows: whose predictions were asked for, each time.
        said: of these rows, by input, whether it says something.
        targets: rows whose targets were asked for, each time.
    """

    rows: list[np.ndarray] = field(default_factory=list)
    said: list[dict[str, np.ndarray]] = field(default_factory=list)
    targets: list[np.ndarray] = field(default_factory=list)


@pytest.fixture
def combined(monkeypatch):
    seen = Combined()
    tokens, target = Trainer.tokens, Trainer.target

    def watched_tokens(self, network, rows, function=None):
        found = tokens(self, network, rows, function)
        if function is not None:
            seen.rows.append(rows)
            seen.said.append({name: model_input.mask[:, 0].numpy() for name, model_input in found.items()})
        return found

    def watched_target(self, rows):
        seen.targets.append(rows)
        return target(self, rows)

    monkeypatch.setattr(Trainer, "tokens", watched_tokens)
    monkeypatch.setattr(Trainer, "target", watched_target)
    return seen


def test_weights_are_learned_from_validation_rows_and_kept_through_the_refit(combined):
    trained = run(stage=LATE, fusion="weighted", train={"epochs": 2, "final": "refit"}).bundle
    (rows,), (said,), (targets,) = combined.rows, combined.said, combined.targets
    assert np.array_equal(rows, on("validation")) and np.array_equal(targets, rows)
    for name, column in (("words", "words"), ("table", "size")):
        assert np.array_equal(said[name], [TABLE[column][row] is not None for row in on("validation")])
    weights = trained.model.combination.fusion.scores
    assert not torch.equal(weights, torch.zeros_like(weights))


def test_few_validation_rows_leave_it_to_folds_of_the_training_rows(combined, monkeypatch):
    learned = {}
    fit = Trainer.fit

    def watched(self, network, rows, validation, *, phase, **settings):
        learned[phase] = set(rows.tolist())
        return fit(self, network, rows, validation, phase=phase, **settings)

    monkeypatch.setattr(Trainer, "fit", watched)
    run(stage="late", fusion="weighted", train={"epochs": 1, "final": "best"})
    assert len(combined.rows) == 5
    (targets,) = combined.targets
    assert np.array_equal(targets, np.concatenate(combined.rows))
    assert np.array_equal(np.sort(targets), on("train"))
    for place, rows in enumerate(combined.rows, start=1):
        for name, column in (("words", "words"), ("table", "size")):
            others = {row for row in on("train").tolist() if TABLE[column][row] is not None} - set(rows.tolist())
            assert learned[f"fold{place}:{name}"] == others


def test_a_rule_has_nothing_to_learn(combined):
    run(stage="late", fusion="average", train={"epochs": 1})
    assert combined == Combined()


def test_every_input_stops_by_itself_and_has_its_own_phase():
    phases = []

    def make_callbacks(phase, epochs, metric):
        phases.append((phase, epochs))
        return []

    made = config.make(settings(stage="late", fusion="average", train={"epochs": 3}))
    trained = train(TABLE, made, make_callbacks=make_callbacks)
    best = {name: history.best_epoch for name, history in trained.branches.items()}
    assert phases == [
        ("train:table", 3), ("train:words", 3), ("refit:table", best["table"]), ("refit:words", best["words"]),
    ]  # fmt: skip
    assert [record.epoch for record in trained.history.epochs] == list(range(1, 7))


def fitted(network: Decisions) -> dict[str, bool]:
    """Which of the inputs have learned anything."""
    return dict(zip(network.encoders, network.fitted.tolist(), strict=True))


class Stop:
    def on_epoch(self, record):
        raise KeyboardInterrupt

    def on_end(self, history):
        pass


def test_ctrl_c_keeps_what_was_learned_and_leaves_the_other_inputs_silent():
    made = config.make(settings(stage="late", fusion="average", train={"epochs": 3}))
    trained = train(TABLE, made, make_callbacks=lambda *_: [Stop()])
    assert trained.history.interrupted
    assert fitted(trained.bundle.model) == {"table": True, "words": False}
    again = bundle.from_bytes(bundle.to_bytes(trained.bundle))
    only_words = {"size": [None], "other": [None], "words": ["red round 1"]}
    assert predict(again, only_words).status == ["prior: no input present"]


def test_an_input_that_no_training_row_has_says_nothing():
    gaps = {**TABLE, "words": [w if s == "test" else None for w, s in zip(TABLE["words"], TABLE["side"], strict=True)]}
    trained = train(gaps, config.make(settings(stage="late", fusion="product", train={"epochs": 1})))
    assert fitted(trained.bundle.model) == {"table": True, "words": False}


def stacked(task, predictions: dict[str, Tokens], target: list[str], **fusion) -> tuple[Decisions, Scores]:
    """Late fusion of what inputs say of validation rows; and what it says honestly of each of these rows."""
    made = {"stage": LATE, "fusion": {"project": False, **fusion}}
    fitter = Played(task, predictions, encoded(task, target), settings=made, predictions=predictions)
    result = fitter.learn(fitter.rows)
    assert isinstance(result.network, Decisions) and result.validation is not None
    return result.network, result.validation


def test_the_combination_gives_honest_scores_for_the_rows_that_it_learned_from():
    torch.manual_seed(0)
    rows = 40
    truth = torch.randint(0, 2, (rows,))
    names = ["xy"[int(k)] for k in truth]
    noise = {name: Tokens.vector(torch.randn(rows, 2)) for name in "abcdefg"}
    noise["h"] = Tokens.vector(torch.stack([-truth, truth], dim=1) * 4 - 2 + 0.3 * torch.randn(rows, 2))
    task = classify(["x", "y"])
    network, honest = stacked(task, noise, names, name="concat")
    known = network.fuse(noise)
    assert honest.values.shape == known.values.shape
    assert not np.allclose(honest.values, known.values.detach())
    target = encoded(task, names)
    losses = [
        RowStatistics.of(task, Scores(scores.values.detach(), scores.present), target).values()["log_loss"]
        for scores in (honest, known)
    ]
    assert losses[0] > losses[1] - 1e-6


@pytest.mark.parametrize(
    ("stage", "task", "fusion", "words"),
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
        ("lat", "classify", "average", "no stage is called 'lat'. Did you mean 'late'"),
    ],
)
def test_what_makes_no_sense_is_said_before_cells_are_read(monkeypatch, stage, task, fusion, words):
    monkeypatch.setattr("polymodal.pipeline.problem.prepare", lambda *_, **__: pytest.fail("read the cells"))
    with pytest.raises(ConfigError, match=words):
        run(task, stage=stage, fusion=fusion)


def test_an_encoder_that_learns_cannot_stand_before_scikit_learn():
    with pytest.raises(ConfigError, match="encoder of the input 'words' has weights to learn"):
        run(stage="fuse_then_train", columns={"words": {"modality": "text", "encoder": "bag"}})


def test_branches_of_scikit_learn_are_saved_as_arrays():
    branches = {"table": "svm_rbf", "words": {"name": "logistic", "c": 3}}
    trained = run(stage={"name": "late", "branches": branches}, fusion="average").bundle
    assert all(isinstance(encoder, Handcrafted) for encoder in trained.model.encoders.values())
    again = bundle.from_bytes(bundle.to_bytes(trained))
    assert torch.equal(predict(again, TABLE).prediction.values, predict(trained, TABLE).prediction.values)
    assert trained.metrics.test["accuracy"].value > 0.7


@pytest.mark.parametrize("stage", [LATE, "fuse_then_train"])
def test_other_estimators_predict_but_are_refused_by_name_when_saved(tmp_path, stage):
    forest = RandomForestClassifier(5, random_state=0)
    given = forest if stage == "fuse_then_train" else {"table": forest}
    said = settings(stage=stage, fusion="average", train={"epochs": 1}) | {"encoders": {}}
    model = pm.Classifier(config=said, predictors=given).fit(TABLE)
    assert model.predict(TABLE).shape == (ROWS,)
    assert model.score(TABLE) > 0.7
    with pytest.raises(BundleError, match="RandomForestClassifier came from Python"):
        model.save(tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize(
    ("estimator", "stage", "words"),
    [
        (RandomForestClassifier(), "intermediate", "this is intermediate"),
        (LinearSVC(), "fuse_then_train", "LinearSVC gives no probabilities"),
        (Ridge(), "fuse_then_train", "Ridge predicts numbers"),
    ],
)
def test_estimators_that_cannot_be_used_are_refused(estimator, stage, words):
    with pytest.raises(ConfigError, match=words):
        run(stage=stage, fusion="concat", estimators={"": estimator})


def test_early_chooses_embedding_encoders_and_keeps_one_that_is_named():
    chosen = run(stage="early", train={"epochs": 1}).bundle
    assert isinstance(chosen.model.encoders["words"], Embedding)
    columns = {"words": {"modality": "text", "encoder": "bag"}}
    named = run(stage="early", columns=columns, train={"epochs": 1}).bundle
    assert {entry.name: entry.encoder for entry in named.schema.inputs} == {"table": "embedding", "words": "bag"}


def test_components_are_those_of_a_principal_component_analysis():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(50, 6)) @ rng.normal(size=(6, 6)) + 3
    fused = FusedFeatures({"a": 6}, Average(AverageConfig(project=False), widths={"a": 3}), components=3)
    tokens = {"a": Tokens.vector(torch.tensor(values, dtype=torch.float32))}
    fused.fit(tokens, handcrafted={"a"}, seed=0)
    found = fused(tokens).values[:, 0].double().numpy()
    centred = values - values.mean(axis=0)
    scores = centred @ np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :3]
    expected = scores / np.sqrt(np.square(scores).sum(axis=1).mean())
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-5)


def test_a_configuration_without_a_stage_is_intermediate():
    made = config.make(settings())
    assert made.stage.name is None
    assert run(train={"epochs": 1}).bundle.config.stage.name == "intermediate"


def test_only_branches_of_scikit_learn_choose_their_encoder():
    late = stage_of(config.make({"stage": {"name": "late", "branches": {"table": "svm"}}}))
    assert late.encoder("words", "text") is None
    assert late.encoder("table", "table") == "handcrafted"


def test_a_combination_of_many_large_products_learns():
    torch.manual_seed(0)
    truth = torch.randint(0, 10, (60,))
    hot = torch.nn.functional.one_hot(truth, 10).float()
    confidences = {name: Tokens.vector(torch.log_softmax(9 * hot + 2 * torch.randn(60, 10), dim=1)) for name in "abc"}
    _, honest = stacked(classify([*"0123456789"]), confidences, [str(int(k)) for k in truth], name="tensor")
    assert (honest.values.argmax(dim=1) == truth).float().mean() > 0.5
