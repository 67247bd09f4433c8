"""Run given spikes on both sides of a LearningDense in lava-nc 0.10.0's fixed-point model.

Executed by the interpreter of the Lava environment: JSON on stdin, the weights of every step as
JSON on stdout, (n_steps, n_target, n_source).
"""

import json
import sys

from dense_lif import import_encoders


def main() -> None:
    """Answer one question."""
    question = json.load(sys.stdin)
    import_encoders()
    import numpy as np
    from lava.magma.core.learning.learning_rule import Loihi2FLearningRule
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc.dense.process import LearningDense
    from lava.proc.io.source import RingBuffer
    from lava.proc.lif.process import LIF
    from lava.proc.monitor.process import Monitor
    from lava.utils.weightutils import SignMode

    pre, post = (np.array(question[side], dtype=int) for side in ("pre", "post"))
    rule = Loihi2FLearningRule(**{"t_epoch": 1, **question["rule"]}, rng_seed=1)
    dense = LearningDense(
        weights=np.array(question["weights"], dtype=int),
        sign_mode=SignMode.MIXED,
        num_weight_bits=8,
        learning_rule=rule,
    )
    before, behind = RingBuffer(data=pre.T), RingBuffer(data=post.T)
    cell = LIF(shape=(post.shape[1],))
    before.s_out.connect(dense.s_in)
    behind.s_out.connect(dense.s_in_bap)
    dense.a_out.connect(cell.a_in)
    monitor = Monitor()
    monitor.probe(dense.weights, len(pre))
    dense.run(condition=RunSteps(num_steps=len(pre)), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
    (recorded,) = monitor.get_data().values()
    (values,) = recorded.values()
    shape = (len(pre), post.shape[1], pre.shape[1])
    weights = np.asarray(values).astype(np.int64).reshape(shape)
    dense.stop()
    print(json.dumps({"weights": weights.tolist()}))


if __name__ == "__main__":
    main()
