"""The federation's state machines: admission, judgement, sync, combination. Pure: effects out, no I/O."""
