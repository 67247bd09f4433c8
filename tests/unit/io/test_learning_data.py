"""Data of learning experiments: splits, generated tasks, files."""

from pathlib import Path

import numpy as np
import pytest

from nmhw.errors import InputError, UsageError
from nmhw.io.event_file import read_events
from nmhw.io.generated_data import GESTURES, make_gestures, shift_images
from nmhw.io.learning_data import NAMED_DATA, load_learning_data

DATA = Path(__file__).resolve().parents[3] / "nmhw/data"


@pytest.mark.parametrize("name", ["digits", "digits-shifted", "digits-corrupted"])
def test_every_named_set_has_all_classes_in_all_parts(name: str) -> None:
    data = load_learning_data(name)
    assert data.images is not None
    assert data.images.min() >= 0.0
    assert data.images.max() <= 1.0
    for part in ("train", "validation", "test"):
        rows = data.rows(part)  # type: ignore[arg-type]
        assert set(data.labels[rows]) == set(range(10))


def test_test_images_are_those_of_the_demo() -> None:
    data = load_learning_data("digits")
    shipped = read_events(DATA / "digits_test.npz")
    rows = data.rows("test")
    np.testing.assert_array_equal(np.asarray(shipped.labels), data.labels[rows])
    events = shipped.streams[""]
    spikes = np.zeros((400, 64), int)
    np.add.at(spikes, (np.asarray(events.sample), np.asarray(events.index)), 1)
    np.testing.assert_array_equal(spikes, data.images[rows].reshape(400, 64) * 16)


def test_the_images_are_those_of_scikit_learn() -> None:
    sklearn = pytest.importorskip("sklearn.datasets")
    pixels, labels = sklearn.load_digits(return_X_y=True)
    data = load_learning_data("digits")
    np.testing.assert_array_equal(data.images.reshape(-1, 64) * 16, pixels)
    np.testing.assert_array_equal(data.labels, labels)


def test_shifted_images_keep_every_pixel() -> None:
    images = load_learning_data("digits").images[:5]
    moved = shift_images(images, 12, 2, seed=1)
    assert moved.shape == (10, 12, 12)
    np.testing.assert_allclose(moved.sum((1, 2)), np.repeat(images.sum((1, 2)), 2))


def test_gestures_do_not_depend_on_how_many_are_made_and_need_time() -> None:
    few, _ = make_gestures(16, seed=4)
    more, labels = make_gestures(160, seed=4)
    np.testing.assert_array_equal(few.dense(), more.dense()[:16])
    assert set(labels) == set(range(len(GESTURES)))
    # a bar and its reverse have nearly the same events when time is summed out
    sums = more.counts().reshape(160, 12, 12)
    right, left = (sums[labels == k].mean(0) for k in (0, 1))
    grow = sums[labels == 6].mean(0)
    alike, different = (np.corrcoef(right.ravel(), m.ravel())[0, 1] for m in (left, grow))
    assert alike > 0.75
    assert alike > different + 0.2
    # but not the same time: to the right, high columns fire late
    step = more.step.astype(float)
    for label, sign in ((0, 1), (1, -1)):
        mine = labels[more.sample] == label
        column = more.index[mine] % 12
        assert sign * np.corrcoef(column, step[mine])[0, 1] > 0.6


def test_validation_can_be_merged_and_parts_cut_with_classes_in_turn() -> None:
    data = load_learning_data("digits")
    merged = data.merge_validation()
    assert merged.rows("train").size == 1397
    assert merged.rows("validation").size == 0
    small = data.take(20, 0, 10)
    assert np.bincount(data.labels[small.rows("train")]).tolist() == [2] * 10
    assert np.bincount(data.labels[small.rows("test")]).tolist() == [1] * 10


def test_dense_file_with_and_without_split(tmp_path: Path) -> None:
    x = np.random.default_rng(0).random((40, 6))
    y = np.arange(40) % 4
    np.savez(tmp_path / "a.npz", x=x, y=y)
    drawn = load_learning_data(tmp_path / "a.npz")
    assert drawn.n_classes == 4
    assert drawn.shape == (6,)
    assert drawn.rows("test").size == 8  # a quarter of ten, per class
    np.savez(tmp_path / "b.npz", x=x, y=y, split=np.arange(40) % 3)
    given = load_learning_data(tmp_path / "b.npz")
    np.testing.assert_array_equal(given.split, np.arange(40) % 3)


def test_event_file(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "e.npz", sample=[0, 1, 2, 3], step=[0, 4, 2, 1], index=[0, 7, 3, 3],
        labels=[0, 1, 0, 1], split=[0, 0, 2, 2], shape=[2, 4],
    )  # fmt: skip
    data = load_learning_data(tmp_path / "e.npz")
    assert data.events is not None
    assert data.shape == (2, 4)
    assert data.events.n_steps == 5


def test_files_that_lack_something_are_refused(tmp_path: Path) -> None:
    x = np.zeros((4, 3))
    np.savez(tmp_path / "nolabels.npz", x=x)
    np.savez(tmp_path / "range.npz", x=x + 2, y=[0, 1, 0, 1])
    np.savez(tmp_path / "split.npz", x=x, y=[0, 1, 0, 1], split=[0, 1])
    np.savez(tmp_path / "notest.npz", x=x, y=[0, 1, 0, 1], split=[0, 0, 1, 1])
    np.savez(tmp_path / "fewer.npz", x=x, y=[0, 1, 0])
    wrong = {
        "nolabels": "needs labels", "range": "must lie in", "split": "one code per sample",
        "notest": "for test", "fewer": "differ in number",
    }  # fmt: skip
    for name, text in wrong.items():
        with pytest.raises(InputError, match=text):
            load_learning_data(tmp_path / f"{name}.npz")
    with pytest.raises(UsageError, match="no such data set"):
        load_learning_data("imagenet")
    assert set(NAMED_DATA) == {"digits", "digits-shifted", "digits-corrupted", "gestures"}
