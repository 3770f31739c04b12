"""What an operator asks for beside a running daemon: backfill, verify, doctor."""
