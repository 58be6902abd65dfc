# The id is the connection as a URL, without a password. Secrets and the tunnel are set by the next apply, which proves the connection.
terraform import bastion_postgres_connection.orders \
  'postgresql://neosync@orders.abc.us-west-2.rds.amazonaws.com:5432/orders?sslmode=verify-full&name=orders'
