"""The tutorial networks of all frameworks as a table; ``make test-live`` builds what it needs.

python tests/live/networks_table.py            # writes docs/torch-networks.md
"""

import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "torch-networks.md"
#: Environment, name of the framework in the scripts, name as it is printed.
FRAMEWORKS = (
    ("snntorch", "snntorch", "snnTorch 1.0.0"),
    ("norse", "norse", "Norse 1.1.0"),
    ("spikingjelly", "spikingjelly", "SpikingJelly 2.0.0"),
    ("sinabs-layers", "sinabs", "sinabs 3.1.3"),
)
HEAD = """# Networks as tutorials write them

Small networks in the ways the frameworks' public tutorials write theirs (our own text, in
`tests/live/frameworks/tutorials/`; random weights made loud enough that the layers fire). Each goes
through `nmhw.from_torch`, its own forward is compared with the float run on fresh inputs bin by
bin, and it is deployed: to `loihi1-nahuku`, or where Loihi refuses its reset or several spikes per
step to the reference chip `generic`, with the `allow=` that is printed. Frames that are held enter
through the host's input stage. What is refused is refused by name, with a remedy.

This page is written by `.venv/bin/python tests/live/networks_table.py` once `make test-live` has
built the frameworks' environments; `make test-live` checks that it is true.

"""


def render(answers: dict[str, dict[str, Any]]) -> str:
    """Return the page for the answers of all frameworks, by printed name."""
    lines = ["| framework | network | bins | differing | chip |", "|---|---|---|---|---|"]
    refused, equal = [], 0
    for title, rows in answers.items():
        for network, row in rows.items():
            if row["outcome"] == "refused":
                refused.append((title, network, row))
                continue
            equal += row["differing"] == 0 and row["chip"] is not None
            allow = "".join(f", allow {a}" for a in row["allow"])
            stage = ", first layer on the host" if row["stage"] else ""
            differing = f"{row['differing']}" + (" (rounding)" if row["differing"] else "")
            place = f"{row['chip']}{allow}{stage}"
            lines.append(f"| {title} | {network} | {row['bins']:,} | {differing} | {place} |")
    count = equal + len(refused)
    text = f"{equal} of {count} deploy with a spike-equal float run, "
    text += f"{len(refused)} are refused.\n\n"
    text += "\n".join(lines) + "\n\n## Refused\n"
    text += "| framework | network | what, where, rule | remedy |\n|---|---|---|---|\n"
    for title, network, row in refused:
        remedy = row["hint"].partition("; or as one Sequential")[0]
        what = f"{row['what']}: {row['got']} ({row['where']}) `{row['rule']}`"
        text += f"| {title} | {network} | {what} | {remedy} |\n"
    return HEAD + text


def main() -> None:
    """Ask every framework and write the page."""
    sys.path.insert(0, str(Path(__file__).parent))
    from conftest import LIVE, ask_script, why_absent

    answers = {}
    for environment, name, title in FRAMEWORKS:
        if (reason := why_absent(environment)) is not None:
            sys.exit(f"{title} is absent: {reason}")
        python = LIVE / environment / "env" / "bin" / "python"
        script = Path(__file__).parent / "frameworks" / "tutorials.py"
        answers[title] = ask_script(python, script, {"framework": name})
    DOCUMENT.write_text(render(answers))
    print(f"wrote {DOCUMENT.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
