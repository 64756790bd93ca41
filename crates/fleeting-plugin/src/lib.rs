//! GitLab's fleeting plugin protocol over docker-machine's library.
