// Written by `python -m gstalker.bridge.generate` from bridge/schema.py: do not edit.
// Units, spaces and meanings of the fields are in docs/protocol.md.

export const WIRE_VERSION = 2;
export const TOPIC_BYTES = 16;
export const PREFIX_BYTES = 32;
export const PAYLOAD_ALIGNMENT = 16;
export const MAX_MESSAGE_BYTES = 8388608;
export const MAX_HEADER_BYTES = 16384;
export const MAX_REQUEST_BYTES = 262144;
export const MAGIC = "GSTK";
export const BYTES_PER_MOVER = 16;
export const POSITION_CODES = 65535;
export const ROTATION_ZERO_CODE = 511;
export const LOG_SCALE_CODES = 1023;

/** Every message by its topic: fields of the header in order, then arrays of the payload. */
export const MESSAGES = {
  "hello": {
    channel: "request",
    values: {
      request_id: { kind: "uint", low: 0, high: 9007199254740991 },
      client_name: { kind: "text", max_chars: 64 },
      avatar_name: { kind: "text", max_chars: 200 },
      session_id: { kind: "uint", low: 0, high: 99999 },
      private: { kind: "bool" },
    },
    arrays: {
    },
  },
  "leave": {
    channel: "request",
    values: {
      request_id: { kind: "uint", low: 0, high: 9007199254740991 },
    },
    arrays: {
    },
  },
  "ping": {
    channel: "request",
    values: {
      request_id: { kind: "uint", low: 0, high: 9007199254740991 },
      client_time_s: { kind: "float" },
    },
    arrays: {
    },
  },
  "play": {
    channel: "request",
    values: {
      request_id: { kind: "uint", low: 0, high: 9007199254740991 },
    },
    arrays: {
    },
  },
  "stop": {
    channel: "request",
    values: {
      request_id: { kind: "uint", low: 0, high: 9007199254740991 },
    },
    arrays: {
    },
  },
  "open_speech": {
    channel: "request",
    values: {
      request_id: { kind: "uint", low: 0, high: 9007199254740991 },
      rate_hz: { kind: "uint", low: 8000, high: 96000 },
      channel_count: { kind: "uint", low: 1, high: 2 },
      interrupt: { kind: "bool" },
    },
    arrays: {
    },
  },
  "push_speech": {
    channel: "request",
    values: {
      request_id: { kind: "uint", low: 0, high: 9007199254740991 },
      speech_id: { kind: "uint", low: 0, high: 9007199254740991 },
      first_sample: { kind: "uint", low: 0, high: 9007199254740991 },
      sample_count: { kind: "uint", low: 1, high: 96000 },
      channel_count: { kind: "uint", low: 1, high: 2 },
    },
    arrays: {
      pcm: { dtype: "<i2", shape: ["sample_count", "channel_count"] },
    },
  },
  "close_speech": {
    channel: "request",
    values: {
      request_id: { kind: "uint", low: 0, high: 9007199254740991 },
      speech_id: { kind: "uint", low: 0, high: 9007199254740991 },
    },
    arrays: {
    },
  },
  "set_expression": {
    channel: "request",
    values: {
      request_id: { kind: "uint", low: 0, high: 9007199254740991 },
      blend_s: { kind: "float", low: 0.0, high: 10.0 },
      control_count: { kind: "uint", low: 0, high: 256 },
    },
    arrays: {
      weights: { dtype: "<f4", shape: ["control_count"] },
      held: { dtype: "|u1", shape: ["control_count"] },
    },
  },
  "set_emotion": {
    channel: "request",
    values: {
      request_id: { kind: "uint", low: 0, high: 9007199254740991 },
      emotion_name: { kind: "text", max_chars: 64 },
      strength: { kind: "float", low: 0.0, high: 1.0 },
      blend_s: { kind: "float", low: 0.0, high: 10.0 },
    },
    arrays: {
    },
  },
  "set_gaze": {
    channel: "request",
    values: {
      request_id: { kind: "uint", low: 0, high: 9007199254740991 },
      held: { kind: "bool" },
      yaw_rad: { kind: "float", low: -1.6, high: 1.6 },
      pitch_rad: { kind: "float", low: -1.6, high: 1.6 },
      blend_s: { kind: "float", low: 0.0, high: 10.0 },
    },
    arrays: {
    },
  },
  "set_head_pose": {
    channel: "request",
    values: {
      request_id: { kind: "uint", low: 0, high: 9007199254740991 },
      held: { kind: "bool" },
      rotation_rad: { kind: "floats", count: 3, low: -3.2, high: 3.2 },
      translation_m: { kind: "floats", count: 3, low: -1.0, high: 1.0 },
      blend_s: { kind: "float", low: 0.0, high: 10.0 },
    },
    arrays: {
    },
  },
  "set_idle": {
    channel: "request",
    values: {
      request_id: { kind: "uint", low: 0, high: 9007199254740991 },
      enabled: { kind: "bool" },
      seed: { kind: "uint", low: 0, high: 4294967295 },
    },
    arrays: {
    },
  },
  "set_rate": {
    channel: "request",
    values: {
      request_id: { kind: "uint", low: 0, high: 9007199254740991 },
      frame_divisor: { kind: "uint", low: 1, high: 25 },
    },
    arrays: {
    },
  },
  "get_stats": {
    channel: "request",
    values: {
      request_id: { kind: "uint", low: 0, high: 9007199254740991 },
    },
    arrays: {
    },
  },
  "get_snapshot": {
    channel: "request",
    values: {
      request_id: { kind: "uint", low: 0, high: 9007199254740991 },
    },
    arrays: {
    },
  },
  "resume": {
    channel: "request",
    values: {
      request_id: { kind: "uint", low: 0, high: 9007199254740991 },
      state_bytes: { kind: "uint", low: 1, high: 200000 },
    },
    arrays: {
      state: { dtype: "|u1", shape: ["state_bytes"] },
    },
  },
  "shutdown": {
    channel: "request",
    values: {
      request_id: { kind: "uint", low: 0, high: 9007199254740991 },
    },
    arrays: {
    },
  },
  "welcome": {
    channel: "answer",
    values: {
      request_id: { kind: "uint", low: 0, high: 9007199254740991 },
      server_version: { kind: "text", max_chars: 64 },
      server_id: { kind: "text", max_chars: 32 },
      session_id: { kind: "uint", low: 0, high: 99999 },
      publication_port: { kind: "uint", low: 1, high: 65535 },
      avatar_name: { kind: "text", max_chars: 200 },
      avatar_names: { kind: "texts", count: 64, max_chars: 200 },
      bundle_sha256: { kind: "text", max_chars: 64 },
      subject: { kind: "text", max_chars: 1000 },
      consent: { kind: "text", max_chars: 1000 },
      licence: { kind: "text", max_chars: 1000 },
      notice: { kind: "text", max_chars: 1000 },
      fps: { kind: "uint", low: 1, high: 240 },
      audio_rate_hz: { kind: "uint", low: 8000, high: 48000 },
      lead_s: { kind: "float", low: 0.0, high: 10.0 },
      client_lease_s: { kind: "float", low: 0.5, high: 60.0 },
      can_play: { kind: "bool" },
      speech_capacity_s: { kind: "float", low: 0.0, high: 3600.0 },
      control_names: { kind: "texts", count: 256, max_chars: 64 },
      emotion_names: { kind: "texts", count: 64, max_chars: 64 },
      has_gaze: { kind: "bool" },
      head_pose_low: { kind: "floats", count: 6 },
      head_pose_high: { kind: "floats", count: 6 },
      control_count: { kind: "uint", low: 0, high: 256 },
      gaussian_count: { kind: "uint", low: 1, high: 1000000 },
      mover_count: { kind: "uint", low: 0, high: 1000000 },
      camera_from_avatar: { kind: "floats", count: 12, rigid: true },
      K: { kind: "floats", count: 9 },
      width_px: { kind: "uint", low: 1, high: 8192 },
      height_px: { kind: "uint", low: 1, high: 8192 },
      box_position_min_m: { kind: "floats", count: 3 },
      box_position_max_m: { kind: "floats", count: 3 },
      box_log_scale_min: { kind: "float" },
      box_log_scale_max: { kind: "float" },
    },
    arrays: {
      control_ranges: { dtype: "<f4", shape: ["control_count", 2] },
      means: { dtype: "<f4", shape: ["gaussian_count", 3] },
      quats_wxyz: { dtype: "<f4", shape: ["gaussian_count", 4] },
      scales: { dtype: "<f4", shape: ["gaussian_count", 3] },
      opacities: { dtype: "<f4", shape: ["gaussian_count"] },
      sh_coeffs: { dtype: "<f4", shape: ["gaussian_count", 1, 3] },
      part_ids: { dtype: "|u1", shape: ["gaussian_count"] },
      plate: { dtype: "|u1", shape: ["height_px", "width_px", 3] },
    },
  },
  "done": {
    channel: "answer",
    values: {
      request_id: { kind: "uint", low: 0, high: 9007199254740991 },
    },
    arrays: {
    },
  },
  "applied": {
    channel: "answer",
    values: {
      request_id: { kind: "uint", low: 0, high: 9007199254740991 },
      limited: { kind: "bool" },
      detail: { kind: "text", max_chars: 1000 },
    },
    arrays: {
    },
  },
  "pong": {
    channel: "answer",
    values: {
      request_id: { kind: "uint", low: 0, high: 9007199254740991 },
      client_time_s: { kind: "float" },
      stream_time_s: { kind: "float" },
      running: { kind: "bool" },
    },
    arrays: {
    },
  },
  "speech_opened": {
    channel: "answer",
    values: {
      request_id: { kind: "uint", low: 0, high: 9007199254740991 },
      speech_id: { kind: "uint", low: 0, high: 9007199254740991 },
    },
    arrays: {
    },
  },
  "speech_state": {
    channel: "answer",
    values: {
      request_id: { kind: "uint", low: 0, high: 9007199254740991 },
      speech_id: { kind: "uint", low: 0, high: 9007199254740991 },
      received_s: { kind: "float", low: 0.0 },
      waiting_s: { kind: "float", low: 0.0 },
    },
    arrays: {
    },
  },
  "stats": {
    channel: "answer",
    values: {
      request_id: { kind: "uint", low: 0, high: 9007199254740991 },
      stream_time_s: { kind: "float" },
      speaking: { kind: "bool" },
      frames_sent: { kind: "uint", low: 0, high: 9007199254740991 },
      frames_late: { kind: "uint", low: 0, high: 9007199254740991 },
      frames_dropped: { kind: "uint", low: 0, high: 9007199254740991 },
      frames_refused: { kind: "uint", low: 0, high: 9007199254740991 },
      frames_superseded: { kind: "uint", low: 0, high: 9007199254740991 },
      audio_chunks_sent: { kind: "uint", low: 0, high: 9007199254740991 },
      speech_waiting_s: { kind: "float" },
      speech_starved: { kind: "uint", low: 0, high: 9007199254740991 },
      requests_refused: { kind: "uint", low: 0, high: 9007199254740991 },
      lateness_p50_ms: { kind: "float" },
      lateness_p99_ms: { kind: "float" },
      lateness_max_ms: { kind: "float" },
      compute_p50_ms: { kind: "float" },
      compute_p99_ms: { kind: "float" },
      frames_per_second: { kind: "float" },
      backend: { kind: "text", max_chars: 64 },
      clients: { kind: "uint", low: 0, high: 9007199254740991 },
      session_clients: { kind: "uint", low: 0, high: 9007199254740991 },
      sessions: { kind: "uint", low: 0, high: 9007199254740991 },
      session_limit: { kind: "uint", low: 0, high: 9007199254740991 },
      load: { kind: "float" },
      source: { kind: "text", max_chars: 1000 },
    },
    arrays: {
    },
  },
  "snapshot": {
    channel: "answer",
    values: {
      request_id: { kind: "uint", low: 0, high: 9007199254740991 },
      state_bytes: { kind: "uint", low: 1, high: 200000 },
    },
    arrays: {
      state: { dtype: "|u1", shape: ["state_bytes"] },
    },
  },
  "refusal": {
    channel: "answer",
    values: {
      request_id: { kind: "uint", low: 0, high: 9007199254740991 },
      code: { kind: "text", max_chars: 32 },
      reason: { kind: "text", max_chars: 1000 },
      retry_after_s: { kind: "float", low: 0.0, high: 3600.0 },
    },
    arrays: {
    },
  },
  "frame/q16": {
    channel: "publication",
    values: {
      session_id: { kind: "uint", low: 0, high: 99999 },
      sequence: { kind: "uint", low: 0, high: 9007199254740991 },
      index: { kind: "uint", low: 0, high: 9007199254740991 },
      time_s: { kind: "float", low: 0.0 },
      sent_at_s: { kind: "float" },
      avatar_from_head: { kind: "floats", count: 12, rigid: true },
      avatar_from_torso: { kind: "floats", count: 12, rigid: true },
      mover_count: { kind: "uint", low: 0, high: 1000000 },
    },
    arrays: {
      movers: { dtype: "|u1", shape: ["mover_count", 16] },
    },
  },
  "frame/f32": {
    channel: "publication",
    values: {
      session_id: { kind: "uint", low: 0, high: 99999 },
      sequence: { kind: "uint", low: 0, high: 9007199254740991 },
      index: { kind: "uint", low: 0, high: 9007199254740991 },
      time_s: { kind: "float", low: 0.0 },
      sent_at_s: { kind: "float" },
      avatar_from_head: { kind: "floats", count: 12, rigid: true },
      avatar_from_torso: { kind: "floats", count: 12, rigid: true },
      mover_count: { kind: "uint", low: 0, high: 1000000 },
    },
    arrays: {
      means: { dtype: "<f4", shape: ["mover_count", 3] },
      quats_wxyz: { dtype: "<f4", shape: ["mover_count", 4] },
      scales: { dtype: "<f4", shape: ["mover_count", 3] },
      opacities: { dtype: "<f4", shape: ["mover_count"] },
    },
  },
  "audio": {
    channel: "publication",
    values: {
      session_id: { kind: "uint", low: 0, high: 99999 },
      sequence: { kind: "uint", low: 0, high: 9007199254740991 },
      speech_id: { kind: "uint", low: 0, high: 9007199254740991 },
      time_s: { kind: "float", low: 0.0 },
      sent_at_s: { kind: "float" },
      sample_count: { kind: "uint", low: 1, high: 48000 },
    },
    arrays: {
      pcm: { dtype: "<i2", shape: ["sample_count"] },
    },
  },
  "speech_end": {
    channel: "publication",
    values: {
      session_id: { kind: "uint", low: 0, high: 99999 },
      sequence: { kind: "uint", low: 0, high: 9007199254740991 },
      speech_id: { kind: "uint", low: 0, high: 9007199254740991 },
      time_s: { kind: "float", low: 0.0 },
      cut: { kind: "bool" },
    },
    arrays: {
    },
  },
  "stream_end": {
    channel: "publication",
    values: {
      session_id: { kind: "uint", low: 0, high: 99999 },
      sequence: { kind: "uint", low: 0, high: 9007199254740991 },
      frame_count: { kind: "uint", low: 0, high: 9007199254740991 },
      time_s: { kind: "float", low: 0.0 },
    },
    arrays: {
    },
  },
};
