"""Python functions that answer what a model calls. No I/O of ours: what the functions do is their own business."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache, partial
from typing import Any

import msgspec

from holdover.errors import APIError, BadRequestError, FunctionCallError
from holdover.wire.runs import RequiredToolCall, Run, ToolOutput
from holdover.wire.tools import FunctionDefinition, FunctionTool

from .calls import CALL_OPTIONS, call
from .exchange import Call, Flow, Pause, Target, exchange
from .options import Functions, OnFunctionError

#: How often a run may come back with calls, where the caller does not say.
DEFAULT_MAX_ROUNDS = 16
#: Between two questions whether a run that is being cancelled has ended, in seconds.
CANCELLING_PAUSE_S = 0.2


class Answered(msgspec.Struct, frozen=True):
    """What a call came to: its output, or the error that its function raised."""

    call_id: str
    output: str
    error: Exception | None = None


class Calls(msgspec.Struct, frozen=True):
    """Calls that are to be answered by functions. See `holdover.client.exchange.Task`."""

    calls: Sequence[RequiredToolCall]
    functions: Mapping[str, Callable[..., Any]]

    def do(self) -> list[Answered]:
        """Call one function after the other."""
        return [self._answered(call) for call in self.calls]

    async def do_async(self) -> list[Answered]:
        """Call all functions at once; those that are not async have threads of their own."""
        import asyncio

        return await asyncio.gather(*(self._answered_async(call) for call in self.calls))

    def _answered(self, call: RequiredToolCall) -> Answered:
        function = self.functions[call.function.name]
        try:
            return Answered(call.id, _text(function(**_arguments(function, call.function.arguments))))
        except Exception as error:
            return _failed(call, error)

    async def _answered_async(self, call: RequiredToolCall) -> Answered:
        import asyncio

        function = self.functions[call.function.name]
        try:
            arguments = _arguments(function, call.function.arguments)
            if inspect.iscoroutinefunction(function):
                return Answered(call.id, _text(await function(**arguments)))
            result = await asyncio.to_thread(function, **arguments)
            return Answered(call.id, _text(await result if inspect.isawaitable(result) else result))
        except Exception as error:
            return _failed(call, error)


class Answering:
    """How the calls of one run are answered: by which functions, and what becomes of errors.

    Args:
        functions: By name, or in a list; then each one's own name is meant.
        on_function_error: ``"tell"`` tells the model, ``"raise"`` cancels the run and raises.
        max_rounds: How often the run may come back with calls.
        can_await: Whether async functions can be called.

    Raises:
        TypeError: Something is not a function, or an async one that cannot be awaited.
        ValueError: There is no such ``on_function_error``.
    """

    def __init__(
        self,
        functions: Functions | None = None,
        on_function_error: OnFunctionError = "tell",
        max_rounds: int = DEFAULT_MAX_ROUNDS,
        *,
        can_await: bool,
    ) -> None:
        if on_function_error not in ("tell", "raise"):
            raise ValueError(f"on_function_error is 'tell' or 'raise', not {on_function_error!r}.")
        self._functions = _by_name(functions or (), can_await=can_await)
        self._on_error = on_function_error
        self._rounds_left = self._max_rounds = max_rounds

    def is_asked(self, run: Run | None) -> bool:
        """Whether a run waits for outputs, and there are functions."""
        return bool(self._functions) and run is not None and run.required_action is not None

    def outputs(self, target: Target, calls: RunCalls, run: Run) -> Flow[list[ToolOutput]]:
        """Answer what a run waits for.

        Raises:
            FunctionCallError: It calls what is not there, or comes back too often; it is cancelled.
            Exception: What a function raised, where that is wished; the run is cancelled.
        """
        assert run.required_action is not None
        asked = run.required_action.submit_tool_outputs.tool_calls
        error: Exception | None = self._refusal(run, asked)
        if error is None:
            answered: list[Answered] = yield Calls(asked, self._functions)
            error = next((each.error for each in answered if each.error), None) if self._on_error == "raise" else None
        if error is not None:
            with suppress(APIError):  # it may have ended meanwhile; what is told of is why it was to end
                yield from exchange(target, calls.cancel(run))
            raise error
        return [ToolOutput(tool_call_id=each.call_id, output=each.output) for each in answered]

    def _refusal(self, run: Run, asked: Sequence[RequiredToolCall]) -> FunctionCallError | None:
        self._rounds_left -= 1
        if self._rounds_left < 0:
            return FunctionCallError(
                f"{run.id} came back with calls more than {self._max_rounds} times and is cancelled; "
                "max_rounds=… allows more."
            )
        unknown = [call.function.name for call in asked if call.function.name not in self._functions]
        if unknown:
            return FunctionCallError(
                f"{run.id} calls '{unknown[0]}', which is none of functions ({', '.join(self._functions)}), "
                "and is cancelled."
            )
        return None


class RunCalls:
    """The further calls about a run: they go where the first one went, with the same key.

    Args:
        options: Those of the first call.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = {name: options[name] for name in CALL_OPTIONS if name in options}

    def get(self, thread_id: str, run_id: str) -> Call[Run]:
        """Return the call that retrieves it."""
        return call("get_run", thread_id, run_id, reply=Run, options=self._options)

    def cancel(self, run: Run) -> Call[Run]:
        """Return the call that cancels it."""
        return call("cancel_run", run.thread_id, run.id, reply=Run, options=self._options)

    def submit(self, run: Run, outputs: list[ToolOutput], *, stream: bool = False) -> Call[Run]:
        """Return the call that lets it go on."""
        given = {"tool_outputs": outputs, **({"stream": True} if stream else {})}
        return call("submit_tool_outputs_to_run", run.thread_id, run.id, reply=Run, options=self._options, given=given)


def ended_meanwhile(target: Target, calls: RunCalls, run: Run, refusal: BadRequestError) -> Flow[Run]:
    """Return a run that took no outputs because it was cancelled, or expired, while functions worked on them.

    Raises:
        BadRequestError: The refusal: it has not ended.
    """
    while True:
        run = yield from exchange(target, calls.get(run.thread_id, run.id))
        if run.is_terminal:
            return run
        if run.status != "cancelling":
            raise refusal
        yield Pause(CANCELLING_PAUSE_S)


def _by_name(functions: Functions, *, can_await: bool) -> dict[str, Callable[..., Any]]:
    pairs = functions.items() if isinstance(functions, Mapping) else ((_name(each), each) for each in functions)
    by_name = dict(pairs)
    for name, each in by_name.items():
        if not callable(each):
            raise TypeError(f"functions: '{name}' is not a function but {type(each).__name__}.")
        if not can_await and inspect.iscoroutinefunction(each):
            raise TypeError(f"functions: '{name}' is async, which AsyncClient can await and Client cannot.")
    return by_name


def _name(function: Any) -> str:
    name = getattr(function, "__name__", None)
    if not isinstance(name, str):
        raise TypeError(f"functions: {function!r} has no name; pass functions={{'its_name': …}}.")
    return name


def _text(result: Any) -> str:
    """Return what a function returned as the model is told of it."""
    return result if isinstance(result, str) else msgspec.json.encode(result).decode()


def _failed(call: RequiredToolCall, error: Exception) -> Answered:
    told = {"error": f"{type(error).__name__}: {error}"}
    return Answered(call.id, msgspec.json.encode(told).decode(), error)


# ------------------------------------------------------------------------------------------ parameters


def function_tool(function: Callable[..., Any], *, name: str | None = None) -> FunctionTool:
    """Return the tool that lets a model call a Python function.

    Args:
        function: Its parameters' annotations say what the model must give: anything that JSON can be decoded into, with
            ``Annotated[…, msgspec.Meta(description=…)]`` where the model should be told more. Its docstring says what
            it is for.
        name: What the model calls it (its own name).

    Raises:
        TypeError: The parameters cannot be described.
    """
    schema = msgspec.json.schema(_parameters(function))
    definitions = schema["$defs"]
    parameters = definitions.pop(schema["$ref"].rpartition("/")[2])
    del parameters["title"]
    for each in inspect.signature(function).parameters.values():
        described = parameters["properties"][each.name]
        if each.default is not each.empty and "default" not in described:
            with suppress(TypeError):  # a default that has no JSON is the function's own business
                described["default"] = msgspec.to_builtins(each.default)
    if definitions:
        parameters["$defs"] = definitions
    definition = FunctionDefinition(name=name or _name(function), parameters=parameters)
    if description := inspect.getdoc(function):
        definition = msgspec.structs.replace(definition, description=description)
    return FunctionTool(function=definition)


def _same(value: Any) -> Any:
    return value


@cache
def _parameters(function: Callable[..., Any]) -> type[msgspec.Struct]:
    """Return a record of a function's parameters.

    Raises:
        TypeError: They cannot be passed by name, or JSON cannot be decoded into them.
    """
    fields: list[Any] = []
    for each in inspect.signature(function, eval_str=True).parameters.values():
        if each.kind not in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY):
            raise TypeError(f"{function!r} takes '{each}', which cannot be passed by name.")
        kind = Any if each.annotation is each.empty else each.annotation
        default = each.default
        if default is each.empty:
            fields.append((each.name, kind))
        elif isinstance(default, str | int | float | bool | None):
            fields.append((each.name, kind, default))  # the model is told of it
        else:
            fields.append((each.name, kind, msgspec.field(default_factory=partial(_same, default))))
    record = msgspec.defstruct("Parameters", fields, kw_only=True, forbid_unknown_fields=True)
    msgspec.json.Decoder(record)  # fails for what cannot be told apart
    msgspec.json.schema(record)  # fails for what has no JSON
    return record


def _arguments(function: Callable[..., Any], told: str) -> dict[str, Any]:
    """Return the arguments that a model gives a function, as its annotations want them.

    Raises:
        msgspec.DecodeError: They are not JSON, or not what the annotations say.
    """
    try:
        record = _parameters(function)
    except (TypeError, ValueError, NameError):  # a function that says less gets what came, and judges itself
        return msgspec.json.decode(told or "{}", type=dict[str, Any])
    given = msgspec.json.decode(told or "{}", type=record)
    return {name: getattr(given, name) for name in record.__struct_fields__}
