"""Small networks in the ways sinabs' tutorials write them; sizes are ours."""

import sinabs.layers as sl
from sinabs.from_torch import from_model
from torch import nn

BATCH = 4


def events():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, bias=False), sl.IAFSqueeze(batch_size=BATCH, min_v_mem=-1.0),
        nn.AvgPool2d(2), nn.Flatten(), nn.Linear(16, 10, bias=False),
        sl.IAFSqueeze(batch_size=BATCH, min_v_mem=-1.0),
    )  # fmt: skip


def converted():
    ann = nn.Sequential(
        nn.Conv2d(1, 4, 3, bias=False), nn.ReLU(), sl.SumPool2d(2), nn.Flatten(),
        nn.Linear(16, 10, bias=False), nn.ReLU(),
    )  # fmt: skip
    return from_model(ann, batch_size=BATCH).spiking_model


def recurrent():
    loop = nn.Linear(40, 40)
    return nn.Sequential(
        nn.Flatten(2), nn.Linear(36, 40), sl.LIFRecurrent(tau_mem=10.0, rec_connect=loop),
        nn.Linear(40, 10), sl.ExpLeak(tau_mem=20.0),
    )  # fmt: skip


NETWORKS = {
    "convolution, IAFSqueeze, average pool": (events, "flat"),
    "convolution from an ANN, from_model": (converted, "flat"),
    "recurrent, LIFRecurrent, ExpLeak output": (recurrent, "NT"),
}  # fmt: skip
