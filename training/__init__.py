"""Offline work on the model: data, calibration, what the maps are worth."""
