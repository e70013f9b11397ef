"""Where the settings come from: the settings file, and ``TOWLINE_*`` variables over it.

Only :func:`towline.settings.load_settings` needs this module.
"""

from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, YamlConfigSettingsSource
from pydantic_settings import SettingsError as UnparsableVariableError

from schemas.catalogue import describe
from towline.errors import SettingsError
from towline.settings import Settings, settings_file


class _FromSources(Settings, BaseSettings):
    """Settings that take what they are not given from outside."""

    model_config = SettingsConfigDict(
        env_prefix="TOWLINE_",
        # One underscore reads well for the common ones, such as TOWLINE_KAFKA_BOOTSTRAP.
        env_nested_delimiter="_",
        env_nested_max_split=1,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the base class fixes the names
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the environment over the file; no dotenv, no secrets directory."""
        return init_settings, env_settings, YamlConfigSettingsSource(settings_cls, yaml_file=settings_file())


def read_settings(overrides: dict[str, Any]) -> Settings:
    """Return the settings, where ``overrides`` count more than the environment and that more than the file.

    Raises:
        SettingsError: the file is no YAML mapping, or a value does not fit; the text has the path.
    """
    try:
        return _FromSources(**overrides)
    except ValidationError as error:
        raise SettingsError(f"settings ({settings_file()} and TOWLINE_*): {describe(error)}") from None
    except yaml.YAMLError as error:
        raise SettingsError(f"{settings_file()} is not YAML: {error}") from None
    except UnparsableVariableError as error:
        raise SettingsError(f"settings (TOWLINE_*): {error}") from None
    except (TypeError, ValueError):
        raise SettingsError(f"{settings_file()} is not a mapping of names to values, in UTF-8") from None
