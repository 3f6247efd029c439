import numpy as np
import pytest
import torch
from toys import Arrays, Scripted, coefficients_of, make_model, make_plan

from polymodal.config.train import ScheduleConfig
from polymodal.errors import ConfigError, NonFiniteLossError
from polymodal.metrics.history import EpochRecord, History
from polymodal.training.loop import fit
from polymodal.training.objective import Objective

RNG = np.random.default_rng(0)
X = RNG.normal(size=(32, 3))
Y = X @ np.array([1.0, -2.0, 0.5]) + 0.3 + 0.1 * RNG.normal(size=32)


def train_rows(**options) -> Arrays:
    return Arrays({"x": X[:24]}, Y[:24], **{"sizes": (8,), **options})


def validation_rows() -> Arrays:
    return Arrays({"x": X[24:]}, Y[24:], sizes=(5,), first_row=24)


def state(model) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def assert_equal(first: dict, second: dict) -> None:
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


class Listener:
    def __init__(self) -> None:
        self.records: list[EpochRecord] = []
        self.ended: list[History] = []

    def on_epoch(self, record: EpochRecord) -> None:
        self.records.append(record)

    def on_end(self, history: History) -> None:
        self.ended.append(history)


class Interrupted(Arrays):
    """Ctrl-C after the first batch of the third epoch."""

    def epoch(self, number):
        for position, batch in enumerate(super().epoch(number)):
            if (number, position) == (3, 1):
                raise KeyboardInterrupt
            yield batch


def test_it_finds_the_least_squares_solution():
    model = make_model()
    fit(Objective(model), train_rows(sizes=(24,)), None, plan=make_plan(epochs=300, lr=0.2))
    solution = np.linalg.lstsq(np.column_stack([X[:24], np.ones(24)]), Y[:24], rcond=None)[0]
    np.testing.assert_allclose(coefficients_of(model), solution, atol=1e-5)


@pytest.mark.parametrize("accumulate", [2, 3])
def test_accumulation_gives_the_weights_of_the_big_batch(accumulate):
    weight = RNG.uniform(0.2, 3.0, size=24)
    small, big = make_model(), make_model()
    fit(Objective(small), train_rows(weight=weight), None, plan=make_plan(epochs=4, accumulate=accumulate))
    fit(Objective(big), train_rows(weight=weight, sizes=(8 * accumulate,)), None, plan=make_plan(epochs=4))
    np.testing.assert_allclose(coefficients_of(small), coefficients_of(big), atol=1e-6)
    assert coefficients_of(big).any()


def test_a_record_holds_the_figures_of_its_epoch():
    weight = RNG.uniform(0.2, 3.0, size=24)
    schedule = ScheduleConfig(name="linear", warmup=0.0)
    model = make_model()
    listener = Listener()
    plan = make_plan(epochs=2, lr=1e-9, schedule=schedule)  # so slow that the model stays at zero
    history = fit(Objective(model), train_rows(weight=weight), validation_rows(), plan=plan, callbacks=[listener])
    first, second = history.epochs
    assert (first.epoch, second.epoch) == (1, 2)
    assert first.loss == pytest.approx(np.average(Y[:24] ** 2, weights=weight), rel=1e-5)
    assert first.metric == pytest.approx(np.sqrt(np.mean(Y[:24] ** 2)), rel=1e-5)
    assert first.validation["rmse"] == pytest.approx(np.sqrt(np.mean(Y[24:] ** 2)), rel=1e-5)
    assert (first.lr, second.lr) == pytest.approx((1e-9 * 4 / 6, 1e-9 * 1 / 6))  # after updates 3 and 6 of 6
    assert first.seconds > 0
    assert first.rows_per_second >= 24 / first.seconds
    assert listener.records == history.epochs
    assert listener.ended == [history]


def test_every_epoch_is_served_in_its_own_order_and_validation_always_alike():
    train, validation = train_rows(), validation_rows()
    fit(Objective(make_model()), train, validation, plan=make_plan(epochs=3))
    assert train.epochs == [1, 2, 3]
    assert len(set(validation.epochs)) == 1


@pytest.mark.parametrize(
    ("metric", "values", "best"), [("score", [1, 3, 2, 3, 0], 4), ("loss", [5, 4, 4, 2, 3], 4), ("score", [1, 2, 3], 3)]
)
def test_the_weights_of_the_best_epoch_are_kept(metric, values, best):
    model, until_best = make_model(), make_model()
    plan = make_plan(task=Scripted(values, metric), epochs=len(values), metric=metric)
    history = fit(Objective(model), train_rows(), validation_rows(), plan=plan)
    fit(Objective(until_best), train_rows(), None, plan=make_plan(epochs=best))
    assert history.best_epoch == best
    assert len(history.epochs) == len(values)
    assert_equal(state(model), state(until_best))


def test_without_validation_rows_the_last_weights_are_kept():
    history = fit(Objective(make_model()), train_rows(), None, plan=make_plan(epochs=3, patience=1))
    assert history.best_epoch == 3
    assert [record.validation for record in history.epochs] == [{}, {}, {}]


@pytest.mark.parametrize(("patience", "num_epochs"), [(1, 3), (2, 4), (None, 6)])
def test_early_stopping_waits_for_its_patience(patience, num_epochs):
    plan = make_plan(task=Scripted([1, 5, 4, 3, 2, 1]), epochs=6, metric="score", patience=patience)
    history = fit(Objective(make_model()), train_rows(), validation_rows(), plan=plan)
    assert len(history.epochs) == num_epochs
    assert history.best_epoch == 2
    assert not history.interrupted


@pytest.mark.parametrize(
    ("patience", "reason"), [(2, "after epoch 4 of 6: no gain for 2 epochs"), (None, "after all 6 epochs")]
)
def test_the_kept_epoch_is_told_with_its_reason(patience, reason):
    plan = make_plan(task=Scripted([1, 5, 4, 3, 2, 1]), epochs=6, metric="score", patience=patience)
    history = fit(Objective(make_model()), train_rows(), validation_rows(), plan=plan)
    told = history.choice("score", 1_234)
    assert "Epoch 2" in told
    assert "score on 1,234 validation rows, 5.000" in told
    assert reason in told


def test_without_validation_rows_the_last_epoch_is_said_to_be_kept():
    history = fit(Objective(make_model()), train_rows(), None, plan=make_plan(epochs=3))
    assert "Epoch 3" in history.choice("score", 0)
    assert "no validation rows" in history.choice("score", 0)


def test_ctrl_c_ends_with_the_best_weights():
    model, one_epoch = make_model(), make_model()
    listener = Listener()
    rows = Interrupted({"x": X[:24]}, Y[:24], sizes=(8,))
    plan = make_plan(task=Scripted([2, 1]), epochs=9, metric="score")
    history = fit(Objective(model), rows, validation_rows(), plan=plan, callbacks=[listener])
    fit(Objective(one_epoch), train_rows(), None, plan=make_plan(epochs=1))
    assert history.interrupted
    assert (len(history.epochs), history.best_epoch) == (2, 1)
    assert_equal(state(model), state(one_epoch))
    assert listener.ended == [history]
    assert not model.training


def test_ctrl_c_before_the_first_epoch_ends_is_said():
    class AtOnce(Arrays):
        def epoch(self, number):
            raise KeyboardInterrupt

    history = fit(Objective(make_model()), AtOnce({"x": X}, Y), validation_rows(), plan=make_plan())
    assert (history.interrupted, history.best_epoch, history.epochs) == (True, 0, [])


def test_one_seed_for_everything_that_is_drawn():
    def weights(seed: int) -> np.ndarray:
        model = make_model(dropout=0.5)
        torch.rand(RNG.integers(10))  # whatever was drawn before does not matter
        fit(Objective(model), train_rows(), validation_rows(), plan=make_plan(epochs=2, seed=seed))
        return coefficients_of(model)

    assert np.array_equal(weights(1), weights(1))
    assert not np.array_equal(weights(1), weights(2))


def test_every_epoch_learns_in_training_mode_whatever_came_before():
    validated, plain = make_model(dropout=0.5).eval(), make_model(dropout=0.5)
    plan = make_plan(task=Scripted([1, 2, 3]), epochs=3, metric="score")
    fit(Objective(validated), train_rows(), validation_rows(), plan=plan)
    fit(Objective(plain), train_rows(), None, plan=make_plan(epochs=3))
    assert_equal(state(validated), state(plain))


def test_a_frozen_encoder_stays_as_it_is_and_in_eval_mode():
    frozen, plain = make_model(dropout=0.5, frozen=True), make_model()
    for model in (frozen, plain):
        fit(Objective(model), train_rows(), None, plan=make_plan(epochs=2))
    assert_equal(state(frozen), state(plain))


def test_training_stops_at_rows_that_are_not_finite_and_callbacks_hear_of_the_end():
    target = Y[:24].copy()
    target[20] = np.nan
    listener = Listener()
    with pytest.raises(NonFiniteLossError, match="row 20 of the table"):
        fit(
            Objective(make_model()),
            Arrays({"x": X[:24]}, target, sizes=(8,)),
            None,
            plan=make_plan(),
            callbacks=[listener],
        )
    assert len(listener.ended) == 1


def test_callbacks_hear_of_the_end_where_training_cannot_even_begin(monkeypatch):
    def no_memory(*_, **__):
        raise MemoryError

    monkeypatch.setattr("polymodal.training.loop.Stepper", no_memory)
    listener = Listener()
    with pytest.raises(MemoryError):
        fit(Objective(make_model()), train_rows(), None, plan=make_plan(), callbacks=[listener])
    assert len(listener.ended) == 1


def test_scores_of_validation_rows_that_are_not_finite_name_the_rows():
    spoilt = X[24:].copy()
    spoilt[3, 0] = np.inf
    with pytest.raises(NonFiniteLossError, match=r"validation row 27 of the table"):
        fit(Objective(make_model()), train_rows(), Arrays({"x": spoilt}, Y[24:], first_row=24), plan=make_plan())


def test_a_metric_that_the_task_does_not_give_is_an_error():
    with pytest.raises(ConfigError, match=r"8 validation rows give no metric 'rmsee'. Did you mean 'rmse'"):
        fit(Objective(make_model()), train_rows(), validation_rows(), plan=make_plan(metric="rmsee"))


def test_every_update_is_counted_by_the_schedule():
    plan = make_plan(epochs=2, accumulate=2, schedule=ScheduleConfig(name="linear", warmup=0.0))
    history = fit(
        Objective(make_model()), train_rows(sizes=(10,)), None, plan=plan
    )  # three batches, two updates an epoch
    assert [record.lr for record in history.epochs] == pytest.approx([0.1 * 3 / 4, 0.1 * 1 / 4])


def test_modality_dropout_follows_its_schedule_and_is_as_it_was_in_the_end():
    objective = Objective(make_model(), modality_dropout=0.4)
    seen = []

    class Watched(Listener):
        def on_epoch(self, record):
            seen.append(objective.modality_dropout)

    plan = make_plan(epochs=4, modality_dropout_schedule={"name": "linear", "until": 1.0})
    fit(objective, train_rows(), None, plan=plan, callbacks=[Watched()])
    assert seen == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert objective.modality_dropout == 0.4


def test_everything_at_once_learns_and_names_its_shares():
    settings = {
        "balance": "ogm_ge", "mixup": {"alpha": 0.3}, "ema": 0.9, "max_norm": 2.0, "orthogonality": 1e-3,
        "modality_dropout_schedule": {"name": "linear"}, "accumulate": 2,
    }  # fmt: skip
    model = make_model()
    history = fit(
        Objective(model), train_rows(), validation_rows(), plan=make_plan(epochs=20, metric="rmse", **settings)
    )
    first, best = history.epochs[0], history.epochs[history.best_epoch - 1]
    assert best.validation["rmse"] < 0.7 * first.validation["rmse"]
    assert all(value.isfinite().all() for value in model.state_dict().values())
