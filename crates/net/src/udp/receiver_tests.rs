//! Listening: shared ports, sources, groups on the loopback interface, and what the system refuses.

use super::*;
use tokio::net::UdpSocket;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn unicast(port: u16) -> Listen {
    Listen { address: SocketAddr::new(HERE, port), source: None, interface: None }
}

/// Two readers of one port that was free a moment ago.
async fn two() -> (Receiver, Receiver, u16) {
    loop {
        let port = sender("127.0.0.1:0").await.local_addr().expect("bound").port();
        let listen = unicast(port);
        if let (Ok(first), Ok(second)) = (Receiver::open(&listen), Receiver::open(&listen)) {
            return (first, second, port);
        }
    }
}

async fn sender(from: &str) -> UdpSocket {
    UdpSocket::bind(from).await.expect("an address of the loopback interface")
}

/// The next `count` datagrams as text.
async fn texts(receiver: &mut Receiver, count: usize) -> Vec<String> {
    let mut seen = Vec::new();
    while seen.len() < count {
        let each = |bytes: &[u8], _, _| seen.push(String::from_utf8_lossy(bytes).into_owned());
        receiver.receive(each).await.expect("the socket is there");
    }
    seen
}

#[tokio::test]
async fn everybody_who_wants_a_port_gets_every_datagram_in_order() {
    let (mut first, mut second, port) = two().await;
    let from = sender("127.0.0.1:0").await;
    let all: Vec<String> = (0..200).map(|n| format!("{n}")).collect();
    for text in &all[..100] {
        from.send_to(text.as_bytes(), (HERE, port)).await.expect("sent");
    }
    assert_eq!(texts(&mut first, 100).await, all[..100]);
    for text in &all[100..] {
        from.send_to(text.as_bytes(), (HERE, port)).await.expect("sent");
    }
    assert_eq!(texts(&mut second, 200).await, all);
    drop(second);
    assert_eq!(texts(&mut first, 100).await, all[100..]);
    assert_eq!((first.dropped(), first.strangers()), (0, 0));
}

#[tokio::test]
async fn a_waiting_reader_learns_what_another_one_read() {
    let (mut first, mut second, port) = two().await;
    let from = sender("127.0.0.1:0").await;
    let both = async { tokio::join!(texts(&mut first, 50), texts(&mut second, 50)) };
    let sending = async {
        for n in 0..50 {
            from.send_to(format!("{n}").as_bytes(), (HERE, port)).await.expect("sent");
            tokio::task::yield_now().await;
        }
    };
    let ((one, other), ()) = tokio::join!(both, sending);
    assert_eq!(one, other);
}

#[tokio::test]
async fn what_gathered_is_told_with_the_time_of_its_arrival_and_shared() {
    let (mut patient, mut quick, port) = two().await;
    patient.gather(Duration::from_millis(60)).expect("a live socket");
    let from = sender("127.0.0.1:0").await;
    let (mut arrivals, mut seen) = (Vec::new(), Vec::new());
    for n in 0..3 {
        from.send_to(format!("{n}").as_bytes(), (HERE, port)).await.expect("sent");
        if n < 2 {
            assert_eq!(texts(&mut quick, 1).await, [format!("{n}")], "nobody takes anything from others");
            seen.push(Instant::now());
        }
    }
    while arrivals.len() < 3 {
        patient.receive(|_, _, arrived| arrivals.push(arrived)).await.expect("the socket is there");
    }
    assert!(arrivals.is_sorted() && arrivals.iter().zip(&seen).all(|(arrived, seen)| arrived <= seen), "{arrivals:?}");
    assert_eq!(texts(&mut quick, 1).await, ["2"]);
}

#[tokio::test]
async fn the_port_is_free_again_and_only_ours_while_we_listen() {
    let receiver = Receiver::open(&Listen { source: Some(HERE), ..unicast(0) }).expect("a free port");
    let address = receiver.local_addr().expect("bound");
    let fault =
        Receiver::open(&Listen { address, source: None, interface: None }).err().expect("taken by another socket");
    assert_eq!((fault.kind, fault.phase), (FaultKind::Internal, Phase::Connect));
    assert!(fault.detail.contains("another program on this machine listens on UDP port"), "{fault}");
    drop(receiver);
    assert!(Receiver::open(&Listen { address, source: None, interface: None }).is_ok());
}

#[tokio::test]
async fn other_sources_are_left_out() {
    // Naming an interface of a unicast port needs no privilege since Linux 5.7.
    let listen = Listen { source: Some(HERE), interface: Some(Interface::Name("lo".to_owned())), ..unicast(0) };
    let mut receiver = Receiver::open(&listen).expect("a free port");
    let port = receiver.local_addr().expect("bound").port();
    sender("127.0.0.2:0").await.send_to(b"stranger", (HERE, port)).await.expect("sent");
    sender("127.0.0.1:0").await.send_to(b"friend", (HERE, port)).await.expect("sent");
    assert_eq!(texts(&mut receiver, 1).await, ["friend"]);
    assert_eq!(receiver.strangers(), 1);
}

#[tokio::test]
async fn refusals_name_the_remedy() {
    let at = |text: &str| Listen { address: text.parse().expect("an address"), source: None, interface: None };
    let words = |listen: &Listen| Receiver::open(listen).err().map(|fault| fault.to_string()).unwrap_or_default();
    let foreign = words(&at("192.0.2.77:5000"));
    assert!(foreign.starts_with("internal (connect): 192.0.2.77 is no address of this machine"), "{foreign}");
    let nowhere = Listen { interface: Some(Interface::Name("nosuch0".to_owned())), ..at("239.255.42.7:5000") };
    assert!(words(&nowhere).contains("on the interface nosuch0"), "{}", words(&nowhere));
}

#[tokio::test]
async fn members_of_a_group_get_a_copy_each() {
    let interface = Some(Interface::Address(HERE));
    let port = sender("127.0.0.1:0").await.local_addr().expect("bound").port();
    let group = Listen { address: SocketAddr::new([239, 255, 42, 99].into(), port), source: None, interface };
    let mut first = Receiver::open(&group).expect("the loopback interface joins");
    let mut second = Receiver::open(&group).expect("the loopback interface joins");
    let mut choosy = Receiver::open(&Listen { source: Some(HERE), ..group.clone() }).expect("one source alone");
    let from = Socket::new(Domain::IPV4, Type::DGRAM, None).expect("a socket");
    from.set_multicast_if_v4(&Ipv4Addr::LOCALHOST).expect("the loopback interface");
    from.bind(&SocketAddr::new(HERE, 0).into()).expect("a free port");
    from.send_to(b"all", &group.address.into()).expect("sent");
    for receiver in [&mut first, &mut second, &mut choosy] {
        assert_eq!(texts(receiver, 1).await, ["all"]);
    }
}
