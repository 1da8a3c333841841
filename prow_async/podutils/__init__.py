"""The programs that run inside a job's pod."""
