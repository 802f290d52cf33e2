"""Where a user is signed in; `accounts` begins and ends sessions."""
