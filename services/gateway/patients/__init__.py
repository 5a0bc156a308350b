"""Patients and their history."""
