#!/usr/bin/env python3
"""Runs a command at a terminal of its own and types an answer at each prompt.

    type_at_prompts.py 'PROMPT=ANSWER' ... -- COMMAND ...

An answer is typed when its prompt was written. What the terminal showed goes to standard output;
the exit status is the command's.
"""

import os
import pty
import sys


def main():
    end = sys.argv.index("--")
    answers = [argument.split("=", 1) for argument in sys.argv[1:end]]
    shown = b""
    searched = 0
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp(sys.argv[end + 1], sys.argv[end + 1:])
    while True:
        try:
            chunk = os.read(terminal, 4096)
        except OSError:
            break
        if not chunk:
            break
        shown += chunk
        while answers and answers[0][0].encode() in shown[searched:]:
            searched = shown.index(answers[0][0].encode(), searched) + len(answers[0][0])
            os.write(terminal, answers.pop(0)[1].encode() + b"\n")
    sys.stdout.buffer.write(shown)
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


main()
