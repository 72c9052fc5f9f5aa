//! One process of each service, and the gateway before them.

use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;

use super::infra::Infra;
use crate::args::Run;
use crate::failed::{Failed, failed};
use crate::servers::Target;
use crate::servers::server::Server;

/// Whose view shows what became of a message.
const SHOWS: &str = "dashboard";
/// Who accepts messages.
const ACCEPTS: &str = "message";

/// All of it.
pub struct Cluster {
    gateway: Server,
    services: Vec<(&'static str, Server)>,
}

impl Cluster {
    /// Starts it.
    pub async fn start(args: &Run, infra: &Infra) -> Result<Self, Failed> {
        let dir = args.work.join("cluster");
        if dir.exists() {
            std::fs::remove_dir_all(&dir)?;
        }
        std::fs::create_dir_all(&dir)?;
        let names: Vec<&'static str> = rcs::system().services.iter().map(|service| service.name).collect();
        let ports = free_ports(names.len() + 1)?;
        let (own, ports) = ports.split_first().ok_or_else(|| failed("there is no port"))?;
        let doors: Vec<(&'static str, u16)> = names.into_iter().zip(ports.iter().copied()).collect();
        std::fs::write(dir.join("pabal.toml"), settings(infra, args.partitions, &doors))?;
        let mut services = Vec::new();
        for (name, port) in doors {
            services.push((name, serve(args, &dir, name, &format!("rcs/{name}"), port).await?));
        }
        let gateway = serve(args, &dir, "gateway", "gateway", *own).await?;
        Ok(Self { gateway, services })
    }

    /// As clients see it: through the gateway.
    pub fn target(&self) -> Result<Target, Failed> {
        Ok(Target { door: self.gateway.address, ..self.beside_gateway()? })
    }

    /// Through the accepting service's own port; the gateway's process is counted all the same.
    pub fn beside_gateway(&self) -> Result<Target, Failed> {
        let pids = self.processes().into_iter().map(|(_, pid)| pid).collect();
        let (door, view) = (self.address_of(ACCEPTS)?, self.address_of(SHOWS)?);
        Ok(Target { door, admin: self.gateway.address, view, pids })
    }

    /// Its processes by their names.
    pub fn processes(&self) -> Vec<(&'static str, u32)> {
        let services = self.services.iter().map(|(name, server)| (*name, server.pid()));
        services.chain([("gateway", self.gateway.pid())]).collect()
    }

    /// Stops it in order, the door first.
    pub async fn stop(self) -> Result<(), Failed> {
        self.gateway.stop().await?;
        for (_, server) in self.services {
            server.stop().await?;
        }
        Ok(())
    }

    fn address_of(&self, service: &str) -> Result<SocketAddr, Failed> {
        let found = self.services.iter().find(|(name, _)| *name == service).map(|(_, server)| server.address);
        found.ok_or_else(|| failed(format!("there is no service {service}")))
    }
}

async fn serve(args: &Run, dir: &Path, name: &str, what: &str, port: u16) -> Result<Server, Failed> {
    let mut command = Command::new(std::path::absolute(&args.pabal)?);
    command.current_dir(dir).args(["serve", what, "--port", &port.to_string()]);
    Server::started(command, (Ipv4Addr::LOCALHOST, port).into(), &dir.join(format!("{name}.log"))).await
}

/// Ports that are free by now, all different.
pub fn free_ports(count: usize) -> Result<Vec<u16>, Failed> {
    let held = (0..count).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<Result<Vec<_>, _>>()?;
    Ok(held.iter().map(|listener| listener.local_addr().map(|address| address.port())).collect::<Result<_, _>>()?)
}

/// Nothing is set but where everything is.
fn settings(infra: &Infra, partitions: u32, doors: &[(&str, u16)]) -> String {
    let mut text = format!(
        "[kafka]\nbootstrap = \"{}\"\n[kafka.topics]\npartitions = {partitions}\n[postgres]\nurl = \"{}\"\n\
         [http]\ntrust_forwarded = true\n[cluster.services]\n",
        infra.kafka, infra.postgres
    );
    for (name, port) in doors {
        let _ = writeln!(text, "\"rcs/{name}\" = [\"http://127.0.0.1:{port}\"]");
    }
    text
}
