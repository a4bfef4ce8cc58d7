"""Every message of the bridge, by the way it goes; `bridge.schema` is the index."""
