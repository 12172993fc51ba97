"""Large clusters as lbctl's file, in two shapes of the same size: many services, or one with many ports."""

SERVERS = 10
HEAD = """[cluster]
name = "big"
[directors.dir1]
address = ["10.1.0.1"]
interface = "eth0"
vip_on = "none"
"""


def vip(number):
    return f"10.2.{number // 250}.{number % 250}"


def services(count, shape):
    """VIP and port of every virtual service."""
    if shape == "ports":
        return [(vip(0), number + 1) for number in range(count)]
    return [(vip(number), 80) for number in range(count)]


def servers_text():
    return "".join(f'[servers.rs{n}]\naddress = ["10.1.1.{n}"]\ninterface = "eth0"\nid = {n}\n'
                   for n in range(1, SERVERS + 1))


def service_text(name, address, ports, scheduler, weight):
    flags = 'scheduler_flags = ["mh-fallback", "mh-port"]\n' if scheduler == "mh" else ""
    weights = ", ".join(f"rs{n} = {weight if n == 1 else 1}" for n in range(1, SERVERS + 1))
    return (f'[services.{name}]\nvip = ["{address}"]\nports = [{ports}]\nprotocols = ["tcp"]\n'
            f'scheduler = "{scheduler}"\n{flags}servers = {{ {weights} }}\n')


def text(count, scheduler="rr", weight=1, shape="services"):
    """`count` virtual services. `weight` is that of the first server: of the last service alone, or
    (shape "ports") of one more service with a single port."""
    last = service_text("last", *[(address, port) for address, port in services(count, shape)][-1], scheduler, weight)
    if shape == "ports":
        rest = service_text("web", vip(0), ",\n".join(str(port) for _, port in services(count - 1, shape)),
                            scheduler, 1)
    else:
        rest = "".join(service_text(f"s{n}", address, port, scheduler, 1)
                       for n, (address, port) in enumerate(services(count - 1, shape)))
    return HEAD + servers_text() + rest + last
