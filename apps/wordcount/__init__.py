"""The hello world of stream processing. See README.md."""

from apps.wordcount.app import app

__all__ = ["app"]
