"""Training and deployment that all recipes share."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from downloads import SKIPPED, DamagedError, UnavailableError
from torch import nn

import nmhw
from nmhw.torch.model_source import load_weights

HEADER = "chip             cores    float chip acc.    energy/sample       time"


def base_parser(text: str, *, steps: int, epochs: int) -> argparse.ArgumentParser:
    """Return the options that every recipe has."""
    parser = argparse.ArgumentParser(description=text)
    add = parser.add_argument
    add("--folder", type=Path, default=Path("data"), help="where the data are kept")
    add("--offline", action="store_true", help=f"never download: exit code {SKIPPED} without data")
    add("--chips", default="loihi1-nahuku,spinnaker2")
    add("--train", type=_positive, default=10_000, help="training samples")
    add("--test", type=_positive, default=1_000, help="test samples")
    add("--steps", type=_positive, default=steps)
    add("--epochs", type=_positive, default=epochs)
    add("--batch", type=_positive, default=32)
    add("--seed", type=int, default=0)
    add("--weights", type=Path, help="trained weights (torch.save of a state dict): no training")
    add("--save-weights", type=Path)
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def run_recipe(recipe: Callable[[argparse.Namespace], None], options: argparse.Namespace) -> int:
    """Run a recipe; return the exit code: 0, 2 for bad input, 75 where data cannot be had."""
    try:
        recipe(options)
    except UnavailableError as error:
        print(f"skipped: {error}", file=sys.stderr)
        return SKIPPED
    except DamagedError as error:
        print(f"error: {error}; remove the file to fetch it again", file=sys.stderr)
        return 2
    except nmhw.NmhwError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def step_length_s(length_s: float, n_steps: int) -> float:
    """Return the step that divides a sample, in whole microseconds."""
    return math.ceil(length_s * 1e6 / n_steps) / 1e6


def event_batches(events: nmhw.SpikeEvents, labels: Any, rows: Any) -> tuple[Any, Any]:
    """Return dense spikes (rows, steps, ...) and labels of some samples."""
    bounds = np.searchsorted(events.sample, np.arange(events.n_samples + 1))
    dense = np.zeros((len(rows), events.n_steps, events.n_neurons), np.float32)
    for k, row in enumerate(rows):
        part = slice(bounds[row], bounds[row + 1])
        np.add.at(dense[k], (events.step[part], events.index[part]), 1.0)
    shaped = dense.reshape(len(rows), events.n_steps, *events.shape)
    return torch.from_numpy(shaped), torch.from_numpy(np.asarray(labels)[rows])


def train(
    model: nn.Module, batch_of: Callable[[Any], tuple[Any, Any]], n: int, options: Any
) -> None:
    """Train by spike counts and cross entropy, or load weights; progress on stderr."""
    if options.weights is not None:
        load_weights(model, str(options.weights))
        model.eval()
        return
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    order = np.random.default_rng(options.seed)
    model.train()
    for epoch in range(options.epochs):
        right = 0
        for rows in np.array_split(order.permutation(n), max(1, n // options.batch)):
            x, y = batch_of(np.sort(rows))
            counts = model(x).sum(1)
            loss = nn.functional.cross_entropy(counts, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            right += int((counts.argmax(1) == y).sum())
        print(f"epoch {epoch + 1}: {100 * right / n:.1f} % of training", file=sys.stderr)
    model.eval()
    if options.save_weights is not None:
        torch.save(model.state_dict(), options.save_weights)


def print_table(network: Any, x: Any, labels: Any, chips: Sequence[str], **deploying: Any) -> None:
    """Deploy to every chip, run the test samples, print one line per chip.

    A chip that a network does not fit gets a line that says why; what cannot be priced says so.
    """
    print(HEADER)
    for chip in chips:
        try:
            run = nmhw.deploy(network, chip, **deploying).run(x, labels=labels)
        except nmhw.NmhwError as error:
            if error.exit_code != 3:
                raise
            print(f"{chip:16} {str(error).splitlines()[0]}")
            continue
        print(table_row(chip, run.summary()))


def table_row(chip: str, s: dict[str, Any]) -> str:
    """Return one line of the table."""
    energy, time = s["energy_j"], s["latency_s"]["per_sample"]
    joules = "unpriced"
    if energy["per_sample"] is not None:
        joules = (">= " if energy["is_lower_bound"] else "") + f"{energy['per_sample']:.3g} J"
    seconds = "unpriced" if time is None else f"{time:.3g} s"
    float_accuracy = s.get("float_accuracy")
    shown = "-" if float_accuracy is None else f"{100 * float_accuracy:.2f} %"
    accuracy = f"{100 * s['accuracy']:.2f} %"
    return f"{chip:16} {s['n_cores']:5} {shown:>8} {accuracy:>9} {joules:>16} {seconds:>10}"


def write_learn_file(path: Path, parts: Sequence[tuple[Any, Any]]) -> None:
    """Write events of (training, test) as a file for ``nmhw learn``; every tenth validates."""
    columns: dict[str, list[Any]] = {"sample": [], "step": [], "index": []}
    labels: list[Any] = []
    split: list[Any] = []
    for code, (events, given) in zip((0, 2), parts, strict=True):
        columns["sample"].append(events.sample + sum(map(len, labels)))
        columns["step"].append(events.step)
        columns["index"].append(events.index)
        labels.append(np.asarray(given))
        number = np.arange(events.n_samples)
        split.append(np.where((code == 0) & (number % 10 == 0), 1, code))
    arrays = {name: np.concatenate(values).astype(np.int32) for name, values in columns.items()}
    first = parts[0][0]
    np.savez_compressed(
        path, **arrays, n_steps=np.int64(first.n_steps), labels=np.concatenate(labels),
        split=np.concatenate(split), shape=np.array(first.shape),
    )  # fmt: skip
