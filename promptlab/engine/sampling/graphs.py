"""Replays forwards as CUDA graphs: eager's own kernels, launched at once, without Python in between.

A denoiser is hundreds of kernels, and where they are short a device waits for Python to launch each. A forward whose
shapes come a second time is recorded after it was answered, and replayed from the third on. What does not fit beside
others makes room for them, and comes back only after twice as many eager forwards as the time before: to record takes
as long as several, and shapes that come by turns would be recorded at every turn.

Invariant: a replay gives the bits that the eager forward gives. It is proved for each graph with the numbers that it
was recorded with, by ``torch.equal``; a forward that cannot be recorded, or gives other bits, is eager for good.

Source: "CUDA Graphs" in PyTorch's notes on CUDA semantics. Kernels and addresses are those of the recording: numbers
are copied into its tensors, what it gives is copied out, and weights that lie elsewhere end it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from promptlab.engine.errors import is_out_of_memory
from promptlab.engine.sampling.rows import copied
from promptlab.engine.sampling.signature import is_per_image

if TYPE_CHECKING:
    import torch

__all__ = ["CudaRecorder", "GraphCache", "Recorded"]

_MOST: Final = 16
"""Graphs that are kept: the one that was used longest ago goes first."""
_MOST_BYTES: Final = 4 * 2**30
"""Memory of all graphs together above which all go: they share a pool, which is given back as a whole."""
_WARM_UPS: Final = 2
"""Forwards on the recording stream before: libraries make workspaces and choose kernels in the first ones."""
_REMEMBERED: Final = 256
"""Signatures whose forwards are counted."""
_AT_FIRST: Final = 2
"""Eager forwards of a signature until it is recorded: what comes once is not."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recorded:
    """Holds a forward that was recorded.

    Args:
        replay: computes it again, from the numbers that are in its tensors then.
        output: what it gives; each replay writes over its tensors.
        memory: bytes that the pool of all recordings grew by.
    """

    replay: Callable[[], None]
    output: Any
    memory: int = 0


class CudaRecorder:
    """Records a forward as a CUDA graph. Graphs that live share one pool of memory and one stream."""

    def __init__(self) -> None:
        self._shared: tuple[Any, Any] | None = None

    def __call__(self, run: Callable[[], Any], first: bool) -> Recorded:
        """Record ``run``, whose tensors must all lie on the current device already.

        Args:
            first: whether no graph is alive. The pool of those that are gone is not used again, which torch's allocator
                refuses.
        """
        import torch

        if first or self._shared is None:
            self._shared = torch.cuda.graph_pool_handle(), torch.cuda.Stream()
        pool, stream = self._shared
        before = torch.cuda.memory_reserved()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UPS):
                run()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=pool, stream=stream):
            output = run()
        return Recorded(replay=graph.replay, output=output, memory=max(0, torch.cuda.memory_reserved() - before))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Graph:
    """Holds a proved recording, the tensors that it reads, and where the weights lay that it reads too.

    Args:
        call: what it was recorded with: objects in it are told from others by identity, so they must not be freed.
    """

    recorded: Recorded
    call: Any
    buffers: tuple[torch.Tensor, ...]
    weights: tuple[tuple[torch.Tensor, int], ...]

    def is_current(self) -> bool:
        """Say whether the weights lie where they lay: a cast, or a move, puts them elsewhere."""
        return all(weight.data_ptr() == address for weight, address in self.weights)

    def run(self, tensors: Sequence[torch.Tensor]) -> Any:
        for buffer, tensor in zip(self.buffers, tensors, strict=True):
            buffer.copy_(tensor)
        self.recorded.replay()
        return copied(self.recorded.output)


class GraphCache:
    """Remembers forwards as graphs; see the module.

    Args:
        record: records a forward that takes no arguments; told whether no recording is alive.
        most: graphs that are kept, 1 or more.
        most_bytes: memory that they may keep together; one alone may keep more.

    Attributes:
        eager: why forwards are never recorded, a sentence for each signature.
    """

    def __init__(
        self, record: Callable[[Callable[[], Any], bool], Recorded] | None = None, *, most: int = _MOST,
        most_bytes: int = _MOST_BYTES,
    ) -> None:  # fmt: skip
        self._record = record or CudaRecorder()
        self._most, self._most_bytes = most, most_bytes
        self._graphs: OrderedDict[Hashable, _Graph] = OrderedDict()
        self._counted: OrderedDict[Hashable, tuple[int, int]] = OrderedDict()
        """Eager forwards of each signature, up to as many as it takes to record it, and that number."""
        self._memory = 0
        self._weights: Hashable = None
        self.eager: dict[Hashable, str] = {}

    def __len__(self) -> int:
        return len(self._graphs)

    def belong_to(self, weights: Hashable) -> None:
        """Drop all graphs unless they are of ``weights``: those of another model, LoRA or attention backend."""
        if weights != self._weights:
            self.drop()
            self._weights = weights

    def drop(self) -> bool:
        """Give back the memory of all graphs; return whether there were any."""
        had = bool(self._graphs)
        for each in (self._graphs, self._counted, self.eager):
            each.clear()
        return had

    def run(
        self, module: Any, forward: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any],
        kind: Hashable = (),
    ) -> Any:  # fmt: skip
        """Return what ``forward`` gives, by a replay where there is one.

        Args:
            module: whose method ``forward`` is.
            kind: what else decides which kernels run, such as attention processors.
        """
        tensors: list[torch.Tensor] = []
        key = id(module), getattr(forward, "__name__", ""), kind, _signature((list(args), dict(kwargs)), tensors)
        graph = self._graphs.get(key)
        if graph is not None and graph.is_current():
            self._graphs.move_to_end(key)
            return graph.run(tensors)
        output = forward(*args, **kwargs)
        if graph is not None:
            del self._graphs[key]
        if key not in self.eager and self._is_due(key):
            self._keep(key, module, forward, (list(args), dict(kwargs)), output)
        return output

    def _is_due(self, key: Hashable) -> bool:
        """Count an eager forward; return whether it is to be recorded."""
        forwards, enough = self._counted.pop(key, (0, _AT_FIRST))
        self._counted[key] = min(forwards + 1, enough), enough
        if len(self._counted) > _REMEMBERED:
            self._counted.popitem(last=False)
        return forwards + 1 >= enough

    def _keep(self, key: Hashable, module: Any, forward: Callable[..., Any], call: Any, expected: Any) -> None:
        """Record a forward and keep it if it is proved, or remember why not."""
        tensors: list[torch.Tensor] = []
        _signature(call, tensors)
        if len({each.device for each in tensors}) > 1:
            self.eager[key] = "its tensors lie on several devices"
            return
        buffers = tuple(each.clone() for each in tensors)
        args, kwargs = _filled(call, iter(buffers))
        first = not self._graphs
        self._memory = 0 if first else self._memory
        try:
            recorded = self._record(lambda: forward(*args, **kwargs), first)
            self._memory += recorded.memory
            weights = tuple((each, each.data_ptr()) for each in (*module.parameters(), *module.buffers()))
            graph = _Graph(recorded=recorded, call=(args, kwargs), buffers=buffers, weights=weights)
            equal = _equal(graph.run(tensors), expected)
        except Exception as problem:  # noqa: BLE001 - torch raises of many kinds; the image has its eager forward
            self.eager[key] = type(problem).__name__
            if is_out_of_memory(problem):
                self.drop()  # what is short of memory for a graph is soon short of it for a forward
                self.eager[key] = "too little memory"
            return
        if equal:
            self._graphs[key] = graph
            self._make_room()
        else:
            self.eager[key] = "a replay gives other bits"

    def _make_room(self) -> None:
        """Drop what is too much; each that goes has to come twice as often as before to be recorded again."""
        gone: list[Hashable] = []
        if len(self._graphs) > 1 and self._memory > self._most_bytes:
            gone = list(self._graphs)
        elif len(self._graphs) > self._most:
            gone = [next(iter(self._graphs))]
        for key in gone:
            del self._graphs[key]
            _, enough = self._counted.get(key, (0, _AT_FIRST))
            self._counted[key] = 0, 2 * enough


def _signature(value: Any, tensors: list[torch.Tensor]) -> Hashable:
    """Return what must be equal for a recording to fit; add the tensors of ``value`` to ``tensors``.

    Python values are a part of the recording, so they must be equal; of other objects the same one must come again.
    Generators belong to images: a recording has none, and one that would need them is not proved.
    """
    import torch

    if isinstance(value, torch.Tensor):
        tensors.append(value)
        return "tensor", tuple(value.shape), value.stride(), value.dtype, value.device
    if isinstance(value, list | tuple):
        return type(value), tuple(_signature(each, tensors) for each in value)
    if isinstance(value, Mapping):
        return "mapping", tuple(
            (name, each is None if is_per_image(name) else _signature(each, tensors))
            for name, each in sorted(value.items())
        )
    if value is None or isinstance(value, bool | int | float | str | torch.dtype):
        return type(value), value
    return "object", id(value)


def _filled(value: Any, buffers: Iterator[torch.Tensor]) -> Any:
    """Return ``value`` with buffers in the places of its tensors, in the order of :func:`_signature`."""
    import torch

    if isinstance(value, torch.Tensor):
        return next(buffers)
    if isinstance(value, list | tuple):
        parts = [_filled(each, buffers) for each in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    if isinstance(value, Mapping):
        return {name: None if is_per_image(name) else _filled(each, buffers) for name, each in sorted(value.items())}
    return value


def _equal(one: Any, other: Any) -> bool:
    """Say whether two outputs hold the same bits. Waits for the device."""
    import torch

    mine: list[torch.Tensor] = []
    theirs: list[torch.Tensor] = []
    for value, tensors in ((one, mine), (other, theirs)):
        _signature(value.to_tuple() if hasattr(value, "to_tuple") else value, tensors)
    return len(mine) == len(theirs) > 0 and all(map(torch.equal, mine, theirs))
