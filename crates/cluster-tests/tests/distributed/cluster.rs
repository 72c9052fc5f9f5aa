//! The processes: one or more of each service, and a gateway before them.
#![allow(dead_code, reason = "each test uses its part")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::binary::chance::Chance;
use super::binary::{Running, pabal};

/// The services of rcs.
pub const SERVICES: [&str; 4] = ["message", "validator", "device", "dashboard"];

/// Ports of replicas: each service has a block of 100. The gateway's is below all of them.
const FIRST_PORT: u16 = 17_000;
const GATEWAY_PORT: &str = "16990";
const REPLICAS: u16 = 4;

/// All of it.
pub struct Cluster {
    gateway: Option<Running>,
    pub postgres: String,
    /// The calls that the carrier has carried out.
    pub ledger: PathBuf,
    dir: tempfile::TempDir,
    replicas: BTreeMap<(&'static str, u16), Running>,
    infra: PathBuf,
}

impl Cluster {
    /// One process of each service, and the gateway.
    pub async fn start() -> Self {
        Self::of(&SERVICES).await
    }

    /// One process of each of these services, and the gateway.
    pub async fn of(services: &[&str]) -> Self {
        let mut cluster = Self::without_processes();
        cluster.gateway = Some(cluster.start_gateway());
        for service in services {
            cluster.add(service).await;
        }
        cluster
    }

    /// Several services in one process, which listens at the port of the first. The first process is also the gateway.
    pub async fn mixed(processes: &[&[&'static str]]) -> Self {
        let mut cluster = Self::without_processes();
        for services in processes {
            let names: Vec<String> = services.iter().map(|service| format!("rcs/{service}")).collect();
            let first = services[0];
            let port = if cluster.gateway.is_none() { GATEWAY_PORT.to_owned() } else { port_of(first, 0).to_string() };
            let mut args = vec!["serve"];
            args.extend(names.iter().map(String::as_str));
            args.extend(if cluster.gateway.is_none() { &["gateway", "--port"][..] } else { &["--port"] });
            args.push(&port);
            let command = cluster.command(&args);
            let running = tokio::task::spawn_blocking(move || Running::of(command)).await.unwrap();
            match cluster.gateway {
                None => cluster.gateway = Some(running),
                Some(_) => drop(cluster.replicas.insert((first, 0), running)),
            }
        }
        cluster
    }

    fn without_processes() -> Self {
        let [kafka, postgres, infra] = ["KAFKA", "POSTGRES", "INFRA"].map(|name| {
            std::env::var(name)
                .unwrap_or_else(|_| panic!("{name} is not set; `make test-distributed` starts the servers and sets it"))
        });
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("pabal.toml"), settings(&kafka, &postgres)).unwrap();
        let ledger = dir.path().join("handset.jsonl");
        Self { gateway: None, postgres, ledger, dir, replicas: BTreeMap::new(), infra: infra.into() }
    }

    /// The binary with these arguments, on the cluster's settings and ledger.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = pabal(self.dir.path(), args);
        command.env("HANDSET_LEDGER", &self.ledger);
        command
    }

    fn start_gateway(&self) -> Running {
        Running::of(self.command(&["serve", "gateway", "--port", GATEWAY_PORT]))
    }

    /// The gateway, which forwards to all services.
    pub fn gateway(&self) -> &Running {
        self.gateway.as_ref().unwrap()
    }

    /// SIGKILL for the gateway; another one takes its place.
    pub fn kill_gateway(&mut self) {
        println!("  kill the gateway");
        self.gateway.take().unwrap().kill();
        self.gateway = Some(self.start_gateway());
    }

    /// One more process of a service.
    pub async fn add(&mut self, service: &str) {
        let service = SERVICES.into_iter().find(|known| *known == service).unwrap();
        let free = (0..REPLICAS).find(|number| !self.replicas.contains_key(&(service, *number))).unwrap();
        let port = port_of(service, free).to_string();
        let name = format!("rcs/{service}");
        let command = self.command(&["serve", &name, "--port", &port]);
        let running = tokio::task::spawn_blocking(move || Running::of(command)).await.unwrap();
        self.replicas.insert((service, free), running);
    }

    /// SIGKILL for one process of a service; another one takes its place.
    pub async fn kill_one(&mut self, service: &'static str, chance: &mut Chance) {
        let number = self.any(service, chance);
        println!("  kill {service} {number}");
        self.replicas.remove(&(service, number)).unwrap().kill();
        tokio::time::sleep(Duration::from_millis(chance.below(1_500))).await;
        self.add(service).await;
    }

    /// SIGKILL for all processes of a service.
    pub fn kill_all(&mut self, service: &str) {
        let all: Vec<_> = self.replicas.keys().filter(|(of, _)| *of == service).copied().collect();
        for one in all {
            self.replicas.remove(&one).unwrap().kill();
        }
    }

    /// SIGSTOP for one process of each service, a second between them, each for so long.
    pub async fn hold_each_up(&mut self, long: Duration, chance: &mut Chance) {
        let held = SERVICES.map(|service| (service, self.any(service, chance)));
        println!("  hold up for {long:?}: {held:?}");
        for (signal, pause) in [("STOP", long), ("CONT", Duration::ZERO)] {
            for one in held {
                self.replicas[&one].signal(signal);
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// SIGTERM for one process of a service, which ends in order.
    pub fn remove(&mut self, service: &'static str, chance: &mut Chance) {
        let number = self.any(service, chance);
        println!("  end {service} {number}");
        let code = self.replicas.remove(&(service, number)).unwrap().terminate();
        assert_eq!(code, 0, "{service} did not end in order");
    }

    /// The script that kills and starts Kafka and PostgreSQL.
    pub fn infra(&self, args: &[&str]) {
        println!("  {}", args.join(" "));
        let done = Command::new(&self.infra).args(args).output().unwrap();
        assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// What a query of the databases says, line by line, fields with `|` between.
    pub fn sql(&self, query: &str) -> Vec<String> {
        let done = Command::new("psql").args([&self.postgres, "-At", "-c", query]).output().unwrap();
        assert!(done.status.success(), "{query}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).lines().map(str::to_owned).collect()
    }

    /// Everything ends in order.
    pub fn end(mut self) {
        for ((service, _), running) in self.replicas {
            assert_eq!(running.terminate(), 0, "{service} did not end in order");
        }
        assert_eq!(self.gateway.take().unwrap().terminate(), 0);
    }

    fn any(&self, service: &str, chance: &mut Chance) -> u16 {
        let numbers: Vec<u16> = self.replicas.keys().filter(|(of, _)| *of == service).map(|(_, number)| *number).collect();
        numbers[usize::try_from(chance.below(numbers.len() as u64)).unwrap()]
    }
}

fn port_of(service: &str, number: u16) -> u16 {
    let place = SERVICES.iter().position(|known| *known == service).unwrap();
    FIRST_PORT + 100 * u16::try_from(place).unwrap() + number
}

fn settings(kafka: &str, postgres: &str) -> String {
    let addresses = |service: &str| {
        let addresses = (0..REPLICAS).map(|number| format!("\"http://127.0.0.1:{}\"", port_of(service, number)));
        format!("\"rcs/{service}\" = [{}]\n", addresses.collect::<Vec<_>>().join(", "))
    };
    format!(
        "[kafka]\nbootstrap = \"{kafka}\"\n[kafka.topics]\npartitions = 4\n[postgres]\nurl = \"{postgres}\"\n\
         [http]\ntrust_forwarded = true\n[cluster.services]\n{}",
        SERVICES.map(addresses).concat(),
    )
}
