"""The browser client: plain files that `bridge.web` hands to a browser. Its code is JavaScript."""
