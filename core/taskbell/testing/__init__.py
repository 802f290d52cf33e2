"""What tests of Taskbell and of its clients share: clients for tests, factories. Never imported by a service."""
