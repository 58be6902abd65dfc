# Not ephemeral: a data source takes no ephemeral value. It keeps none of them in state.
variable "pg_password" {
  type      = string
  sensitive = true
}

variable "private_key" {
  type      = string
  sensitive = true
}

# Asked at every plan and apply; what is wrong is a warning, and stops nothing.
check "orders_path" {
  data "bastion_postgres_check" "orders" {
    host        = "orders.abc.us-west-2.rds.amazonaws.com" # as the bastion sees it
    user        = "neosync"
    password    = var.pg_password
    database    = "orders"
    sslmode     = "verify-full"
    sslrootcert = file("rds-ca.pem")

    ssh_tunnel = {
      host        = "bastion.example.com"
      user        = "neosync"
      host_keys   = [file("bastion_host_key.pub")]
      private_key = var.private_key
    }

    verify = {
      replication = true
      tables      = ["public.orders"]
    }
  }

  assert {
    condition = data.bastion_postgres_check.orders.ok
    error_message = join("\n", concat(
      ["${data.bastion_postgres_check.orders.summary}:"],
      [for remedy in data.bastion_postgres_check.orders.remedies : "- ${remedy}"],
    ))
  }
}
