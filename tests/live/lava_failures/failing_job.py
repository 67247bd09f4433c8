"""The kind of job whose process breaks in the third step, as the question says."""

import multiprocessing
import resource
from typing import Any

import numpy as np
from nmhw_lava.shim import import_lava


def work(question: dict[str, Any], arrays: Any, folder: Any) -> tuple[dict[str, Any], Any]:
    """Run five steps and return what the sink received."""
    if question.get("start_method"):
        multiprocessing.set_start_method(question["start_method"])
    import_lava()
    if question.get("largest_file"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (question["largest_file"],) * 2)
    from broken.breaking import Breaking, Sink
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg

    source, sink = Breaking(how=question["how"], path=str(folder / "big.npy")), Sink()
    source.s_out.connect(sink.a_in)
    sink.run(condition=RunSteps(num_steps=5), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
    total = int(np.asarray(sink.total.get())[0])
    sink.stop()
    return {"total": total, "numpy": np.__version__}, {"none": np.zeros(0)}
