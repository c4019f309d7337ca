"""Settings: where a value comes from, what it may be, and what the messages say when it may not."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamz_actors.config import SETTINGS, Settings, override, project_table, resolve
from streamz_actors.errors import ConfigError


def settings(
    environ: Mapping[str, str] | None = None,
    pyproject: Mapping[str, object] | None = None,
    overrides: Mapping[str, object] | None = None,
    **keywords: object,
) -> Settings:
    return resolve("app", keywords, environ=environ or {}, pyproject=pyproject or {}, overrides=overrides or {})


# --- precedence and origins ------------------------------------------------------------------------------------------


def test_nothing_given_is_the_defaults() -> None:
    resolved = settings()
    assert resolved == Settings(app_id="app")
    assert {origin for _, _, origin in resolved.explain()} == {"default"}


def test_each_origin_wins_over_the_next() -> None:
    def port(resolved: Settings) -> tuple[int, str]:
        return resolved.web_port, resolved.origins["web_port"]

    environ, pyproject, overrides = {"STREAMZ_WEB_PORT": "3"}, {"web_port": 2}, {"web_port": "4"}
    assert port(settings(environ, pyproject, overrides, web_port=1)) == (4, "command line")
    assert port(settings(environ, pyproject, web_port=1)) == (3, "environment STREAMZ_WEB_PORT")
    assert port(settings(None, pyproject, web_port=1)) == (2, "pyproject.toml")
    assert port(settings(web_port=1)) == (1, "keyword")


def test_none_and_empty_text_count_as_not_given() -> None:
    resolved = settings({"STREAMZ_BROKER": ""}, overrides={"broker": None}, broker=None, store=None)
    assert resolved.broker == "memory://"
    assert resolved.origins == {}


def test_a_value_that_is_overruled_must_be_right_all_the_same() -> None:
    with pytest.raises(ConfigError, match=r"'web_port' \(keyword\)"):
        settings(overrides={"web_port": 1}, web_port="many")


def test_override_puts_the_command_line_on_top_of_resolved_settings() -> None:
    before = settings({"STREAMZ_WEB_PORT": "3"}, broker="kafka://a:1")
    after = override(before, {"broker": "memory://", "web_port": None})
    assert (after.broker, after.web_port) == ("memory://", 3)
    assert after.origins == {"broker": "command line", "web_port": "environment STREAMZ_WEB_PORT"}
    assert after == settings(web_port=3)


# --- what is unknown -------------------------------------------------------------------------------------------------


def test_an_unknown_keyword_names_the_nearest_setting() -> None:
    with pytest.raises(ConfigError, match=r"unknown setting 'brokr' \(keyword\): did you mean 'broker'\?"):
        settings(brokr="memory://")


def test_a_name_like_no_other_lists_what_there_is() -> None:
    with pytest.raises(ConfigError, match=r"unknown setting 'zzz' \(pyproject.toml\): there are broker, store, "):
        settings(pyproject={"zzz": 1})


def test_an_unknown_environment_variable_is_named() -> None:
    with pytest.raises(ConfigError, match=r"\(environment STREAMZ_WEB_PRT\): did you mean 'web_port'"):
        settings({"STREAMZ_WEB_PRT": "1"})


def test_an_unknown_override_is_refused_in_both_ways() -> None:
    with pytest.raises(ConfigError, match=r"\(command line\): did you mean 'store'"):
        settings(overrides={"stor": "x"})
    with pytest.raises(ConfigError, match=r"\(command line\): did you mean 'store'"):
        override(settings(), {"stor": "x"})


def test_names_of_the_tool_are_no_settings_and_no_errors() -> None:
    assert settings({"STREAMZ_APP": "shop:app"}, {"app": "shop:app"}) == settings()
    with pytest.raises(ConfigError, match="unknown setting 'app'"):
        settings(app="shop:app")


@pytest.mark.parametrize(
    "variable",
    [
        "STREAMZ_PORT",
        "STREAMZ_SERVICE_HOST",
        "STREAMZ_ORDERS_SERVICE_PORT_HTTP",
        "STREAMZ_ORDERS_PORT",
        "STREAMZ_ORDERS_PORT_6066_TCP_ADDR",
    ],
)
def test_variables_that_kubernetes_adds_for_a_service_are_let_through(variable: str) -> None:
    assert settings({variable: "tcp://10.0.0.1:6066"}) == settings()


def test_variables_of_others_are_not_looked_at() -> None:
    assert settings({"HOME": "/root", "STREAMZ": "x", "streamz_broker": "x"}) == settings()


# --- types -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("broker", "kafka://a:1,b:2", "kafka://a:1,b:2"),
        ("data_dir", "/var/lib/app", Path("/var/lib/app")),
        ("auto_offset_reset", "latest", "latest"),
        ("commit_interval", "0.25", 0.25),
        ("commit_interval", "2", 2.0),
        ("topic_replication_factor", "3", 3),
        ("web_enabled", "No", False),
        ("web_enabled", " 1 ", True),
        ("web_port", "0", 0),
        ("autodiscover", "shop.orders, shop.alerts,", ("shop.orders", "shop.alerts")),
        ("timezone", "Europe/Paris", "Europe/Paris"),
        ("group_instance_id", "worker-1", "worker-1"),
        ("consumer_config", '{"security_protocol": "SSL"}', {"security_protocol": "SSL"}),
    ],
)
def test_text_is_parsed_to_the_type_of_its_setting(name: str, text: str, value: object) -> None:
    assert getattr(settings({f"STREAMZ_{name.upper()}": text}), name) == value
    assert getattr(settings(overrides={name: text}), name) == value


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("commit_interval", 2, 2.0),
        ("data_dir", "state", Path("state")),
        ("data_dir", Path("~/state"), Path.home() / "state"),
        ("autodiscover", ["a", "b"], ("a", "b")),
        ("producer_config", {"compression_type": "zstd"}, {"compression_type": "zstd"}),
        ("web_produce", True, True),
    ],
)
def test_typed_values_become_exactly_the_type_of_their_setting(name: str, given: object, value: object) -> None:
    found = getattr(resolve("app", {name: given}, environ={}, pyproject={}, overrides={}), name)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("web_port", "http", "'http' is not an integer from 0 to 65535"),
        ("web_port", "65536", "'65536' is not an integer from 0 to 65535"),
        ("web_port", "tcp://10.0.0.1:80", "'tcp://10.0.0.1:80' is not an integer"),
        ("topic_partitions", "0", "'0' is not an integer of at least 1"),
        ("commit_interval", "0", "'0' is not a number above 0"),
        ("commit_interval", "nan", "'nan' is not a number above 0"),
        ("commit_interval", "inf", "'inf' is not a number above 0"),
        ("web_enabled", "perhaps", "'perhaps' is not true or false"),
        ("auto_offset_reset", "first", "'first' is not \"earliest\" or \"latest\""),
        ("log_format", "xml", "'xml' is not \"plain\" or \"json\""),
        ("timezone", "Mars/Olympus", "'Mars/Olympus' is not text: it is no name in the IANA"),
        ("timezone", "../etc", "it is no name in the IANA"),
        ("timezone", "Europe", "it is no name in the IANA"),
        ("broker", "localhost:9092", "write kafka://localhost:9092"),
        ("store", "rocksdb", "write rocksdb:// or memory://"),
        ("processing_guarantee", "at_most_once", "'at_most_once' is not \"at_least_once\" or \"exactly_once\""),
        ("data_dir", "~nobody-of-that-name/state", "is not a path: Could not determine home"),
        ("consumer_config", "{sasl", "the value given is not a table .*: it is no JSON: "),
        ("consumer_config", "[1]", "the value given is not a table"),
    ],
)
def test_malformed_text_names_origin_value_and_expected_type(name: str, text: str, message: str) -> None:
    variable = f"STREAMZ_{name.upper()}"
    with pytest.raises(ConfigError, match=message) as caught:
        settings({variable: text})
    assert str(caught.value).startswith(f"setting {name!r} (environment {variable}): ")


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("web_port", "6066"),
        ("web_port", True),
        ("web_port", 6066.0),
        ("web_enabled", 1),
        ("commit_interval", "1"),
        ("commit_interval", True),
        ("commit_interval", 10**400),
        ("topic_partitions", -(10**400)),
        ("broker", b"memory://"),
        ("broker", ["memory://"]),
        ("data_dir", 1),
        ("autodiscover", "shop"),
        ("autodiscover", [1]),
        ("consumer_config", {1: 2}),
        ("consumer_config", "{}"),
    ],
)
def test_a_typed_value_of_another_type_is_refused(name: str, given: object) -> None:
    with pytest.raises(ConfigError, match=rf"^setting '{name}' \(keyword\): .* is not "):
        resolve("app", {name: given}, environ={}, pyproject={}, overrides={})


@given(st.integers(1, 10**9), st.floats(min_value=1e-6, max_value=1e6, exclude_min=True), st.booleans())
def test_what_a_value_prints_as_reads_back_as_itself(number: int, seconds: float, flag: bool) -> None:
    environ = {
        "STREAMZ_MAX_BUFFERED_RECORDS": str(number),
        "STREAMZ_COMMIT_INTERVAL": repr(seconds),
        "STREAMZ_ALLOW_PICKLE": str(flag),
        "STREAMZ_PRODUCER_CONFIG": json.dumps({"a": number, "b": flag}),
    }
    resolved = settings(environ)
    assert (resolved.max_buffered_records, resolved.commit_interval, resolved.allow_pickle) == (number, seconds, flag)
    assert resolved.producer_config == {"a": number, "b": flag}


@given(st.sampled_from(sorted(SETTINGS)), st.text())
def test_any_text_is_a_value_or_a_config_error(name: str, text: str) -> None:
    try:
        found = getattr(settings(overrides={name: text}), name)
    except ConfigError:
        return
    assert isinstance(found, SETTINGS[name].kind)


# --- what settings say together --------------------------------------------------------------------------------------


def test_a_heartbeat_as_long_as_the_session_is_a_contradiction_that_names_both_origins() -> None:
    with pytest.raises(ConfigError, match=r"_HEARTBEAT_INTERVAL\) must be below session_timeout 3.0 \(keyword\)"):
        settings({"STREAMZ_HEARTBEAT_INTERVAL": "3"}, session_timeout=3)
    with pytest.raises(ConfigError, match=r"session_timeout 12.0 \(default\)"):
        override(settings(), {"heartbeat_interval": "12"})


@pytest.mark.parametrize(
    ("broker", "store", "produces"), [("memory://", "memory://", True), ("kafka://a:1", "rocksdb://", False)]
)
def test_what_follows_the_broker_unless_it_is_given(broker: str, store: str, produces: bool) -> None:
    resolved = settings(broker=broker)
    assert (resolved.store_url, resolved.web_produces) == (store, produces)
    explicit = settings(broker=broker, store="other://", web_produce=not produces)
    assert (explicit.store_url, explicit.web_produces) == ("other://", not produces)


@pytest.mark.parametrize("app_id", ["", "a b", "a/b", "é", "a" * 151, "a\n"])
def test_an_application_id_must_fit_into_names_of_topics(app_id: str) -> None:
    with pytest.raises(ConfigError, match="application id"):
        resolve(app_id, {}, environ={}, pyproject={}, overrides={})


# --- showing ---------------------------------------------------------------------------------------------------------


def test_explain_shows_effective_values_with_origins_and_masks_secrets() -> None:
    secret = {"sasl_plain_username": "me", "sasl_plain_password": "hunter2"}
    resolved = settings({"STREAMZ_BROKER": "kafka://a:1"}, consumer_config=secret)
    shown = {name: (value, origin) for name, value, origin in resolved.explain()}
    assert list(shown) == list(SETTINGS)
    assert shown["broker"] == ("kafka://a:1", "environment STREAMZ_BROKER")
    assert shown["store"] == ("rocksdb://", "default")
    assert shown["consumer_config"] == ({"sasl_plain_username": "me", "sasl_plain_password": "********"}, "keyword")
    assert "hunter2" not in repr(resolved)


def test_the_web_token_is_shown_nowhere() -> None:
    resolved = settings({}, web_token="hunter2")
    shown = {name: value for name, value, _ in resolved.explain()}
    assert (shown["web_token"], resolved.web_credentials) == ("********", {"Authorization": "Bearer hunter2"})
    assert "hunter2" not in repr(resolved)
    with pytest.raises(ConfigError) as caught:
        settings({}, web_token="hunter 2")
    assert "hunter" not in str(caught.value)


def test_without_a_web_token_requests_carry_none() -> None:
    resolved = settings({})
    shown = {name: value for name, value, _ in resolved.explain()}
    assert (shown["web_token"], resolved.web_credentials) == (None, {})


@pytest.mark.parametrize("url", ["host:6066", "ftp://host", "http://", "http://host/path", "http://host?x"])
def test_an_advertised_url_is_that_of_a_server(url: str) -> None:
    with pytest.raises(ConfigError, match="no URL of a server"):
        settings({}, web_advertised_url=url)


def test_a_message_never_shows_a_table_that_may_hold_a_password() -> None:
    with pytest.raises(ConfigError) as caught:
        settings({"STREAMZ_CONSUMER_CONFIG": "{'sasl_plain_password': 'hunter2'}"})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_describes_itself_for_the_reference(name: str) -> None:
    info = SETTINGS[name]
    assert info.name == name
    assert info.doc.endswith((".", "…"))
    assert "\n" not in info.doc
    assert info.environ == f"STREAMZ_{name.upper()}"
    assert info.expected


# --- pyproject.toml --------------------------------------------------------------------------------------------------


def test_the_nearest_pyproject_with_our_table_counts(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text('[tool.streamz_actors]\napp = "x:app"\nweb_port = 1\n')
    assert project_table(inner) == {"app": "x:app", "web_port": 1}
    (tmp_path / "a" / "pyproject.toml").write_text("[tool.other]\nweb_port = 2\n")
    assert project_table(inner) == {"app": "x:app", "web_port": 1}
    (inner / "pyproject.toml").write_text("[tool.streamz_actors]\nweb_port = 3\n")
    assert project_table(inner) == {"web_port": 3}


def test_no_pyproject_is_an_empty_table(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").mkdir()
    assert project_table(tmp_path) == {}


@pytest.mark.parametrize("content", [b"[tool.streamz_actors\n", b"\xff\xfe"])
def test_a_pyproject_that_cannot_be_read_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=f"{path} cannot be read"):
        project_table(tmp_path)
