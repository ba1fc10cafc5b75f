"""Who answers. The engine knows `holdover.models.protocol` only; `holdover.service` chooses."""
