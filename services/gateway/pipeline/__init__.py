"""What moves a scan from stage to stage: record, publish, sweep, and the recorder's own stages."""
