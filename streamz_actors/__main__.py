"""`python -m streamz_actors` is the command line `app`."""

from streamz_actors.cli.main import main

if __name__ == "__main__":
    main()
