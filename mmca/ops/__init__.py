"""Fast implementations of coordinate attention; imports torch and nothing of mmca's registries."""
