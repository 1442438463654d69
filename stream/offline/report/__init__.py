"""What a person reads: findings with where, how sure, a picture of the numbers, and what to do."""

from stream.offline.report.human import Report

__all__ = ["Report"]
