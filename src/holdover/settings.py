"""Every setting: its names, its default, and where its value came from. The only reader of the environment.

Flags beat the environment, the environment beats the file, the file beats the default (`_resolve`).
Rooms below receive values; none of them looks here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import msgspec

from .errors import ConfigurationError

T = TypeVar("T")

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8026
DEFAULT_BASE_URL = f"http://{DEFAULT_HOST}:{DEFAULT_PORT}/v1"
DEFAULT_TIMEOUT_S = 600.0
#: How yes and no are written.
SWITCH = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
LOG_LEVELS = ("debug", "info", "warning", "error")
EMBEDDERS = ("minilm", "endpoint", "none")
#: How strong a sandbox can be, the weakest first; `holdover.tools.code_interpreter.protocol` says the same.
SANDBOX_LEVELS = ("landlock", "wasm", "namespaces", "gvisor", "vm")


class Setting(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """One setting.

    Attributes:
        name: Its name in code, in the file and, with dashes, as a flag.
        environment: Variables that set it, the first that is set wins; older aliases come last.
        default: Its value when nothing sets it; called with the values resolved so far when callable.
        parse: Reads its text form (from the environment, a flag or the file).
        secret: Whether it is masked when shown.
        show: Makes its text form, for people; what must not be seen stays out of it.
        is_table: Whether it is a table of the settings file, which no flag or variable can hold.
        summary: One sentence for the manual and ``--help``.
    """

    name: str
    environment: tuple[str, ...] = ()
    default: Any = None
    parse: Callable[[Any], Any] = str
    secret: bool = False
    show: Callable[[Any], str] = str
    is_table: bool = False
    summary: str = ""


class Resolved(msgspec.Struct, frozen=True, kw_only=True):
    """A setting's value and where it came from: a flag, a variable, the file's path, or "default"."""

    setting: Setting[Any]
    value: Any
    origin: str

    @property
    def shown(self) -> str:
        """The value as it may be printed; secrets are masked."""
        if self.value is None or self.value == ():
            return "-"
        if self.setting.secret:
            values = self.value if isinstance(self.value, tuple) else (self.value,)
            return ", ".join(mask(str(each)) for each in values)
        if isinstance(self.value, tuple | dict):
            return ", ".join(str(each) for each in self.value) or "-"
        return self.setting.show(self.value)


def mask(secret: str) -> str:
    """Return a secret with all but its ends hidden; a short one is hidden whole."""
    if len(secret) < 16:
        return "*" * 8
    return f"{secret[:4]}{'*' * 8}{secret[-2:]}"


def without_password(url: str) -> str:
    """Return a database's address as it may be printed, whatever is wrong with it."""
    url = re.sub(r"^(\w+://[^:@/?#]*):.*@", r"\1:********@", url, flags=re.DOTALL)
    return re.sub(r"([?&]\w*password=)[^&]*", r"\1********", url)


# -------------------------------------------------------------------------------------------- parsing


def _port(text: Any) -> int:
    try:
        port = int(text)
    except (TypeError, ValueError):
        raise ValueError("a port is a number from 0 to 65535") from None
    if isinstance(text, bool) or not 0 <= port <= 65535:
        raise ValueError("a port is a number from 0 to 65535")
    return port


def _names(text: Any) -> tuple[str, ...]:
    parts = text.split(",") if isinstance(text, str) else list(text)
    return tuple(part.strip() for part in map(str, parts) if part.strip())


def _log_level(text: Any) -> str:
    level = str(text).lower()
    if level not in LOG_LEVELS:
        raise ValueError(f"a log level is one of {', '.join(LOG_LEVELS)}")
    return level


def _sandbox(text: Any) -> str:
    name = str(text).lower()
    if not name.replace("-", "").replace("_", "").isalnum():
        raise ValueError("a sandbox is auto, jail, remote, off, or the name that an installed package gives to its own")
    return name


def _sandbox_level(text: Any) -> str:
    level = str(text).lower()
    if level not in SANDBOX_LEVELS:
        raise ValueError(f"a level is one of {', '.join(SANDBOX_LEVELS)}")
    return level


def _path(text: Any) -> str:
    return os.path.abspath(os.path.expanduser(str(text)))


def _seconds(text: Any) -> float:
    try:
        seconds = float(text)
    except (TypeError, ValueError):
        raise ValueError("a number of seconds above 0") from None
    if not 0 < seconds < float("inf"):
        raise ValueError("a number of seconds above 0")
    return seconds


def _count(text: Any) -> int:
    try:
        count = int(text)
    except (TypeError, ValueError):
        raise ValueError("a number of 1 or more") from None
    if isinstance(text, bool) or count < 1:
        raise ValueError("a number of 1 or more")
    return count


def _switch(text: Any) -> bool:
    if isinstance(text, bool):
        return text
    given = str(text).lower()
    if given not in SWITCH:
        raise ValueError(f"one of {', '.join(SWITCH)}")
    return SWITCH[given]


def _address(text: Any) -> str:
    scheme, separator, rest = str(text).partition("://")
    if not separator or scheme not in ("http", "https") or not rest.strip("/"):
        raise ValueError("an address looks like http://127.0.0.1:11434/v1")
    return str(text).rstrip("/")


def _table(value: Any) -> dict[str, dict[str, Any]]:
    if not isinstance(value, dict) or not all(isinstance(each, dict) for each in value.values()):
        raise ValueError("each model is a table [models.NAME]")
    return value


def _aliases(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise ValueError("each alias is NAME = NAME")
    return value


def _embedder(text: Any) -> str:
    name = str(text).lower()
    if name not in EMBEDDERS:
        raise ValueError(f"an embedder is one of {', '.join(EMBEDDERS)}")
    return name


def _default_data_dir(_: Mapping[str, Resolved]) -> str:
    home = os.environ.get("XDG_DATA_HOME") or os.path.join(os.path.expanduser("~"), ".local", "share")
    return os.path.join(home, "holdover")


def _default_database(resolved: Mapping[str, Resolved]) -> str:
    return os.path.join(resolved["data_dir"].value, "holdover.db")


def _default_embedder(resolved: Mapping[str, Resolved]) -> str:
    return "endpoint" if resolved["embedding_base_url"].value is not None else "minilm"


# --------------------------------------------------------------------------------------------- tables

CLIENT_SETTINGS: tuple[Setting[Any], ...] = (
    Setting(
        name="api_key",
        environment=("OPENAI_API_KEY",),
        secret=True,
        summary="Key sent as a bearer token; a service without keys takes any.",
    ),
    Setting(
        name="base_url",
        environment=("OPENAI_BASE_URL", "OPENAI_API_BASE", "OPENAI_API_URL"),
        default=DEFAULT_BASE_URL,
        summary="Address of the service, up to and including /v1.",
    ),
    Setting(
        name="organization_key",
        environment=("OPENAI_ORG_ID", "OPENAI_ORGANIZATION", "OPENAI_ORGANIZATION_KEY"),
        summary="Sent as the OpenAI-Organization header.",
    ),
    Setting(
        name="project",
        environment=("OPENAI_PROJECT_ID", "OPENAI_PROJECT"),
        summary="Sent as the OpenAI-Project header.",
    ),
)

SERVICE_SETTINGS: tuple[Setting[Any], ...] = (
    Setting(
        name="host",
        environment=("HOLDOVER_HOST",),
        default=DEFAULT_HOST,
        summary="Address to listen on; any but loopback needs api_keys.",
    ),
    Setting(
        name="port",
        environment=("HOLDOVER_PORT",),
        default=DEFAULT_PORT,
        parse=_port,
        summary="Port to listen on; 0 takes a free one.",
    ),
    Setting(
        name="data_dir",
        environment=("HOLDOVER_DATA_DIR",),
        default=_default_data_dir,
        parse=_path,
        summary="Folder for everything the service keeps.",
    ),
    Setting(
        name="database_url",
        environment=("HOLDOVER_DATABASE_URL",),
        default=_default_database,
        show=without_password,
        summary="SQLite file, as a path or sqlite:///path; or postgresql://user@host/name.",
    ),
    Setting(
        name="files_url",
        environment=("HOLDOVER_FILES_URL",),
        summary="Where the bytes of files are kept: a folder, or s3://bucket/prefix; beside the database if left out.",
    ),
    Setting(
        name="files_access_key_id",
        environment=("AWS_ACCESS_KEY_ID",),
        secret=True,
        summary="Who the bucket of files knows this service as.",
    ),
    Setting(
        name="files_secret_access_key",
        environment=("AWS_SECRET_ACCESS_KEY",),
        secret=True,
        summary="The secret that goes with it.",
    ),
    Setting(
        name="files_session_token",
        environment=("AWS_SESSION_TOKEN",),
        secret=True,
        summary="The token that goes with both where they are lent for a time.",
    ),
    Setting(
        name="api_keys",
        environment=("HOLDOVER_API_KEYS",),
        default=(),
        parse=_names,
        secret=True,
        summary="Keys that callers must send one of, separated by commas; none: any caller is let in.",
    ),
    Setting(
        name="allowed_hosts",
        environment=("HOLDOVER_ALLOWED_HOSTS",),
        default=(),
        parse=_names,
        summary="Names, besides those of loopback, that the Host header may carry when listening on loopback.",
    ),
    Setting(
        name="log_level",
        environment=("HOLDOVER_LOG_LEVEL",),
        default="info",
        parse=_log_level,
        summary="How much is logged: debug, info, warning or error.",
    ),
    Setting(
        name="drain_s",
        environment=("HOLDOVER_DRAIN_S",),
        default=10.0,
        parse=_seconds,
        summary="Seconds that requests and runs under way are given when the service is told to stop.",
    ),
    Setting(
        name="worker",
        environment=("HOLDOVER_WORKER",),
        default=True,
        parse=_switch,
        summary="Whether the service looks for runs to drive; if not, it drives those whose stream is asked of it.",
    ),
    Setting(
        name="max_runs",
        environment=("HOLDOVER_MAX_RUNS",),
        default=1000,
        parse=_count,
        summary="How many runs one process drives at the same time; others wait in the queue.",
    ),
    Setting(
        name="model_base_url",
        environment=("HOLDOVER_MODEL_BASE_URL",),
        parse=_address,
        summary="Endpoint that speaks chat completions and answers for models, up to and including /v1.",
    ),
    Setting(
        name="model_api_key",
        environment=("HOLDOVER_MODEL_API_KEY",),
        secret=True,
        summary="Key that this endpoint is told; callers' keys never are.",
    ),
    Setting(
        name="model_timeout_s",
        environment=("HOLDOVER_MODEL_TIMEOUT_S",),
        default=120.0,
        parse=_seconds,
        summary="Seconds that an endpoint may be silent.",
    ),
    Setting(
        name="default_model",
        environment=("HOLDOVER_DEFAULT_MODEL",),
        summary="Model that answers for names that nothing else stands for, where there is no model_base_url.",
    ),
    Setting(
        name="models",
        default={},
        parse=_table,
        is_table=True,
        summary="Models by name, each with its provider, endpoint and key: tables [models.NAME] of the settings file.",
    ),
    Setting(
        name="aliases",
        default={},
        parse=_aliases,
        is_table=True,
        summary="Names that stand for a model, a * at the end for any rest: the table [aliases] of the settings file.",
    ),
    Setting(
        name="run_lifetime_s",
        environment=("HOLDOVER_RUN_LIFETIME_S",),
        default=600.0,
        parse=_seconds,
        summary="Seconds after which a run that has not ended expires.",
    ),
    Setting(
        name="lease_s",
        environment=("HOLDOVER_LEASE_S",),
        default=10.0,
        parse=_seconds,
        summary="Seconds after which a run is taken from a worker that gives no sign of life.",
    ),
    Setting(
        name="embedding_base_url",
        environment=("HOLDOVER_EMBEDDING_BASE_URL",),
        parse=_address,
        summary="Endpoint that speaks embeddings, up to and including /v1.",
    ),
    Setting(
        name="embedder",
        environment=("HOLDOVER_EMBEDDER",),
        default=_default_embedder,
        parse=_embedder,
        summary="What makes vectors for file search: minilm (in this process), endpoint, or none (words only).",
    ),
    Setting(
        name="embedding_api_key",
        environment=("HOLDOVER_EMBEDDING_API_KEY",),
        secret=True,
        summary="Key that this endpoint is told.",
    ),
    Setting(
        name="embedding_model",
        environment=("HOLDOVER_EMBEDDING_MODEL",),
        default="text-embedding-3-small",
        summary="The endpoint's name for the model; another model has every file indexed again.",
    ),
    Setting(
        name="embedding_dimensions",
        environment=("HOLDOVER_EMBEDDING_DIMENSIONS",),
        parse=_count,
        summary="Numbers of a vector, for models that can be told; fewer take less memory.",
    ),
    Setting(
        name="embedding_max_tokens",
        environment=("HOLDOVER_EMBEDDING_MAX_TOKENS",),
        parse=_count,
        summary="How much of a text the model sees; 8191 for OpenAI's models, 512 for others.",
    ),
    Setting(
        name="reranker_base_url",
        environment=("HOLDOVER_RERANKER_BASE_URL",),
        parse=_address,
        summary="Endpoint whose /rerank looks at the best passages again; none: they stay in the order of the search.",
    ),
    Setting(
        name="reranker_api_key",
        environment=("HOLDOVER_RERANKER_API_KEY",),
        secret=True,
        summary="Key that this endpoint is told.",
    ),
    Setting(
        name="reranker_model",
        environment=("HOLDOVER_RERANKER_MODEL",),
        summary="The endpoint's name for the reranker, if it has several.",
    ),
    Setting(
        name="search_cache_mb",
        environment=("HOLDOVER_SEARCH_CACHE_MB",),
        default=512,
        parse=_count,
        summary="Megabytes that vectors may take in memory; 100,000 chunks of the default embedder take 155.",
    ),
    Setting(
        name="file_readers",
        environment=("HOLDOVER_FILE_READERS",),
        default=2,
        parse=_count,
        summary="Child processes that read files at the same time.",
    ),
    Setting(
        name="sandbox",
        environment=("HOLDOVER_SANDBOX",),
        default="auto",
        parse=_sandbox,
        summary="What code runs in: auto, jail, remote, off, or a sandbox of an installed package (wasm).",
    ),
    Setting(
        name="sandbox_min_level",
        environment=("HOLDOVER_SANDBOX_MIN_LEVEL",),
        parse=_sandbox_level,
        summary="Weakest sandbox that may run code: landlock, wasm, namespaces, gvisor or vm.",
    ),
    Setting(
        name="sandbox_remote",
        environment=("HOLDOVER_SANDBOX_REMOTE",),
        summary="Address of a runner, unix:/path or host:port.",
    ),
    Setting(
        name="sandbox_secret",
        environment=("HOLDOVER_SANDBOX_SECRET",),
        secret=True,
        summary="Secret that the service and its runner share.",
    ),
    Setting(
        name="sandbox_sessions",
        environment=("HOLDOVER_SANDBOX_SESSIONS",),
        default=50,
        parse=_count,
        summary="How many sandboxes are open at once; the one least recently used makes room.",
    ),
    Setting(
        name="sandbox_idle_s",
        environment=("HOLDOVER_SANDBOX_IDLE_S",),
        default=3600.0,
        parse=_seconds,
        summary="Seconds after which a sandbox that nobody uses is closed.",
    ),
    Setting(
        name="sandbox_timeout_s",
        environment=("HOLDOVER_SANDBOX_TIMEOUT_S",),
        default=120.0,
        parse=_seconds,
        summary="Seconds that one execution of code may take.",
    ),
)

#: Names the file that holds the settings; looked for in the working folder and the user's configuration otherwise.
FILE_VARIABLE = "HOLDOVER_CONFIG"


class ClientSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Values of `CLIENT_SETTINGS`."""

    api_key: str | None = None
    base_url: str = DEFAULT_BASE_URL
    organization_key: str | None = None
    project: str | None = None


class ServiceSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Values of `SERVICE_SETTINGS`."""

    host: str
    port: int
    data_dir: str
    database_url: str
    files_url: str | None = None
    files_access_key_id: str | None = None
    files_secret_access_key: str | None = None
    files_session_token: str | None = None
    api_keys: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    log_level: str = "info"
    drain_s: float = 10.0
    worker: bool = True
    max_runs: int = 1000
    model_base_url: str | None = None
    model_api_key: str | None = None
    model_timeout_s: float = 120.0
    default_model: str | None = None
    models: Mapping[str, Mapping[str, Any]] = {}
    aliases: Mapping[str, str] = {}
    run_lifetime_s: float = 600.0
    lease_s: float = 10.0
    embedder: str = "minilm"
    embedding_base_url: str | None = None
    embedding_api_key: str | None = None
    embedding_model: str = "text-embedding-3-small"
    embedding_dimensions: int | None = None
    embedding_max_tokens: int | None = None
    reranker_base_url: str | None = None
    reranker_api_key: str | None = None
    reranker_model: str | None = None
    search_cache_mb: int = 512
    file_readers: int = 2
    sandbox: str = "auto"
    sandbox_min_level: str | None = None
    sandbox_remote: str | None = None
    sandbox_secret: str | None = None
    sandbox_sessions: int = 50
    sandbox_idle_s: float = 3600.0
    sandbox_timeout_s: float = 120.0


# ------------------------------------------------------------------------------------------ resolving


def load_client_settings(environment: Mapping[str, str] | None = None) -> ClientSettings:
    """Return the client's settings from the environment."""
    resolved = resolve(CLIENT_SETTINGS, environment=environment)
    return ClientSettings(**{name: each.value for name, each in resolved.items()})


def load_service_settings(resolved: Mapping[str, Resolved]) -> ServiceSettings:
    """Return the service's settings from resolved values."""
    return ServiceSettings(**{name: each.value for name, each in resolved.items()})


def resolve(
    settings: tuple[Setting[Any], ...],
    *,
    flags: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    file: tuple[str, Mapping[str, Any]] | None = None,
) -> dict[str, Resolved]:
    """Resolve each setting to its value and the value's origin.

    Args:
        flags: Values from the command line, by setting name; ``None`` values count as not given.
        environment: Variables; the process's own when left out.
        file: The settings file's path and content.

    Raises:
        ConfigurationError: A value cannot be read, or the file names a setting that does not exist.
    """
    variables = os.environ if environment is None else environment
    path, content = file or ("", {})
    known = {setting.name for setting in settings}
    for name in content:
        if name not in known:
            raise ConfigurationError(f"{path}: there is no setting '{name}'; there are: {', '.join(sorted(known))}.")
    resolved: dict[str, Resolved] = {}
    for setting in settings:
        resolved[setting.name] = _resolve(setting, flags or {}, variables, path, content, resolved)
    return resolved


def _resolve(
    setting: Setting[Any],
    flags: Mapping[str, Any],
    variables: Mapping[str, str],
    path: str,
    content: Mapping[str, Any],
    resolved: Mapping[str, Resolved],
) -> Resolved:
    given = [(f"--{setting.name.replace('_', '-')}", flags.get(setting.name))]
    given += [(name, variables.get(name) or None) for name in setting.environment]
    given += [(path, content.get(setting.name))]
    for origin, value in given:
        if value is not None and value != ():
            try:
                return Resolved(setting=setting, value=setting.parse(value), origin=origin)
            except ValueError as error:
                shown = mask(str(value)) if setting.secret else "this" if setting.is_table else repr(value)
                raise ConfigurationError(f"{origin}: {shown} is not a {setting.name}: {error}.") from None
    value = setting.default(resolved) if callable(setting.default) else setting.default
    return Resolved(setting=setting, value=value, origin="default")


def read_variable(name: str) -> str | None:
    """Return a variable of the environment that the settings file names, for a secret that it does not hold itself."""
    return os.environ.get(name) or None


def find_file(explicit: str | None = None, environment: Mapping[str, str] | None = None) -> str | None:
    """Return the path of the settings file: the one named, else ``holdover.toml`` here or in the user's configuration.

    Raises:
        ConfigurationError: A file is named and is not there.
    """
    variables = os.environ if environment is None else environment
    named = explicit or variables.get(FILE_VARIABLE)
    if named:
        if not os.path.isfile(named):
            raise ConfigurationError(f"There is no settings file {named}.")
        return os.path.abspath(named)
    home = variables.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    for candidate in ("holdover.toml", os.path.join(home, "holdover", "holdover.toml")):
        if os.path.isfile(candidate):
            return os.path.abspath(candidate)
    return None


def read_file(path: str | None) -> tuple[str, Mapping[str, Any]] | None:
    """Read a settings file (TOML).

    Raises:
        ConfigurationError: It cannot be read or is not TOML.
    """
    if path is None:
        return None
    import tomllib

    try:
        with open(path, "rb") as file:
            return path, tomllib.load(file)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path} is not TOML: {error}.") from error


def resolve_service(flags: Mapping[str, Any], *, config: str | None = None) -> dict[str, Resolved]:
    """Resolve the service's settings from flags, environment and file."""
    return resolve(SERVICE_SETTINGS, flags=flags, file=read_file(find_file(config)))


def find_state_dir() -> str:
    """Return the user's folder for what the command line remembers between calls (``XDG_STATE_HOME``)."""
    home = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return os.path.join(home, "holdover")


def find_proxy(scheme: str, host: str, port: int) -> str | None:
    """Return the proxy that the environment names for an address (``HTTPS_PROXY``, ``NO_PROXY`` …), or ``None``."""
    if not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

    proxies = getproxies_environment()
    if proxy_bypass_environment(f"{host}:{port}", proxies):
        return None
    return proxies.get(scheme) or proxies.get("all")
