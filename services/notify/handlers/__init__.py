"""Notify's reactions, a module for each thing they are about. Importing this package registers all of them."""

from services.notify.handlers import attempts, mailboxes, notices, policies

__all__ = ["attempts", "mailboxes", "notices", "policies"]
