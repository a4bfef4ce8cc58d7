"""Serves avatars: sessions on their clocks, requests, speech, the rules of admission."""
