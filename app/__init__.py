"""Pitdesk's services: configuration, domain, persistence and command line. No Qt in here."""

__version__ = "0.1.0"
