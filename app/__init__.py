"""Pitdesk's services: configuration, domain, persistence and command line. No Qt in here."""
