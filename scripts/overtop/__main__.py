"""Run the command `overtop` as `python -m overtop`."""

from overtop.cli.app import main

if __name__ == "__main__":
    main()
