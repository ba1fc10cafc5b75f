"""Why a request is refused, in the hosted API's words.

Programs match these texts with regular expressions, so they are kept in one place and changed with care.
Texts marked *observed* were seen on the hosted Assistants API; the others follow the wording it used elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

JSON_HINT = (
    "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library "
    "correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON. If you have trouble "
    "figuring out how to fix this, please contact us through our help center at help.openai.com.)"
)


class Refused(ValueError):
    """A request that the wire does not take. Rendered as a 400 with these members."""

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code


def invalid_json() -> Refused:
    return Refused(JSON_HINT)  # observed


def unknown_parameter(path: str) -> Refused:
    path = shortened(path)
    return Refused(f"Unknown parameter: '{path}'.", param=path, code="unknown_parameter")


def repeated_parameter(path: str) -> Refused:
    path = shortened(path)
    return Refused(f"Invalid '{path}': given more than once.", param=path, code="invalid_value")


def missing_parameter(path: str) -> Refused:
    return Refused(f"Missing required parameter: '{path}'.", param=path, code="missing_required_parameter")  # observed


def invalid_type(path: str, expected: str, got: str) -> Refused:
    where = f" for '{path}'" if path else ""
    return Refused(
        f"Invalid type{where}: expected {expected}, but got {got} instead.",
        param=path or None,
        code="invalid_type",
    )  # observed


def invalid_value(path: str, value: str, supported: Sequence[str]) -> Refused:
    *others, last = [f"'{each}'" for each in supported]
    comma = "," if len(others) > 1 else ""
    listed = f"{', '.join(others)}{comma} and {last}" if others else last
    return Refused(
        f"Invalid value: '{shortened(value)}'. Supported values are: {listed}.", param=path, code="invalid_value"
    )


def invalid_id(path: str, value: str, prefix: str) -> Refused:
    begins = prefix if prefix == "vsfb_" else prefix.rstrip("_-")  # both observed
    return Refused(
        f"Invalid '{path}': '{shortened(value)}'. Expected an ID that begins with '{begins}'.",
        param=path,
        code="invalid_value",
    )  # observed


def nul_character(path: str) -> Refused:
    path = shortened(path)
    return Refused(
        f"Invalid '{path}': string contains a NUL character, which cannot be stored.",
        param=path,
        code="invalid_value",
    )


def nested_too_deeply(limit: int) -> Refused:
    return Refused(f"Invalid body: nested more than {limit} levels deep.", code="invalid_value")


def string_too_long(path: str, limit: int, length: int) -> Refused:
    return Refused(
        f"Invalid '{path}': string too long. Expected a string with maximum length {limit}, but got a string "
        f"with length {length} instead.",
        param=path,
        code="string_above_max_length",
    )  # observed


def string_too_short(path: str, limit: int, length: int) -> Refused:
    got = f"a string with length {length}" if length else "an empty string"
    return Refused(
        f"Invalid '{path}': string too short. Expected a string with minimum length {limit}, but got {got} instead.",
        param=path,
        code="string_below_min_length",
    )


def string_off_pattern(path: str, pattern: str) -> Refused:
    return Refused(
        f"Invalid '{path}': string does not match pattern. Expected a string that matches the pattern '{pattern}'.",
        param=path,
        code="invalid_value",
    )


def array_too_long(path: str, limit: int, length: int) -> Refused:
    return Refused(
        f"Invalid '{path}': array too long. Expected an array with maximum length {limit}, but got an array "
        f"with length {length} instead.",
        param=path,
        code="array_above_max_length",
    )  # observed


def array_empty(path: str, least: int) -> Refused:
    return Refused(
        f"Invalid '{path}': empty array. Expected an array with minimum length {least}, but got an empty array "
        "instead.",
        param=path,
        code="empty_array",
    )  # observed elsewhere


def number_out_of_range(path: str, kind: str, *, above: bool, limit: float, got: float) -> Refused:
    """``kind`` is "integer" or "decimal"."""
    side, sign, code = ("above maximum", "<=", "above_max") if above else ("below minimum", ">=", "below_min")
    return Refused(
        f"Invalid '{path}': {kind} {side} value. Expected a value {sign} {limit:g}, but got "
        f"{shortened(str(got))} instead.",
        param=path,
        code=f"{kind}_{code}_value",
    )


def too_many_properties(path: str, limit: int, count: int) -> Refused:
    return Refused(
        f"Invalid '{path}': too many properties. Expected an object with at most {limit} properties, but got an "
        f"object with {count} properties instead.",
        param=path,
        code="object_above_max_properties",
    )


def property_name_too_long(path: str, name: str, limit: int) -> Refused:
    return Refused(
        f"Invalid property name in '{path}': '{shortened(name)}' is too long. Expected a string with maximum length "
        f"{limit}, but got a string with length {len(name)} instead.",
        param=path,
        code="string_above_max_length",
    )


def mutually_exclusive(path: str, names: Iterable[str]) -> Refused:
    listed = " or ".join(f"'{path}.{name}'" if path else f"'{name}'" for name in names)
    return Refused(
        f"Mutually exclusive parameters. Ensure you are only providing one of: {listed}.",
        param=path or None,
        code="mutually_exclusive_parameters",
    )


def no_such_purpose(path: str, value: str, purposes: Sequence[str]) -> Refused:
    listed = ", ".join(f"'{each}'" for each in purposes)
    return Refused(f"'{shortened(value)}' is not one of [{listed}] - '{path}'", param=path)  # observed


def missing_field(name: str) -> Refused:
    # In the manner of the one above, which is that of the same checker of forms.
    return Refused(f"'{name}' is a required property", param=name)


def unreadable_form() -> Refused:
    return Refused(
        "We could not read the form in the body of your request: it is not whole, or not multipart/form-data as its "
        "content type says."
    )


def shortened(value: str, limit: int = 200) -> str:
    """Keep an answer short, whatever was sent."""
    return value if len(value) <= limit else value[:limit] + "…"
