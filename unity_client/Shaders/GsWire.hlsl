// Written by `python -m gstalker.bridge.generate` from kernels/quantise.py: do not edit.
// What each code means is in docs/protocol.md, "The 16 bytes of a mover".
#ifndef GS_WIRE_INCLUDED
#define GS_WIRE_INCLUDED

#define GS_BYTES_PER_MOVER 16u  // of a frame's movers
#define GS_POSITION_CODES 65535.0  // steps across the box on an axis, and across opacity
#define GS_ROTATION_ZERO_CODE 511.0  // the code of a rotation component that is zero
#define GS_LOG_SCALE_CODES 1023.0  // steps across the range of log-scales
#define GS_PART_HEAD 0u  // part_ids of the welcome
#define GS_PART_TORSO 1u

#endif
