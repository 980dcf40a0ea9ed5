//! Every product of the protocol document's section 19 (live list of 2026-08-20): each conversion of each grid, by test.

use proptest::prelude::*;
use rust_decimal::Decimal as Peer;

use super::{
    BrokerContract, Contract, ContractIndex, Decimal, Money, PriceError, Ticks, thirty_seconds,
};

/// Root, product id, tick size, tick value and dollars a point.
const PRODUCTS: [(&str, &str, &str, &str, &str); 51] = [
    ("ES", "F.US.EP", "0.25", "12.5", "50"),
    ("MES", "F.US.MES", "0.25", "1.25", "5"),
    ("NQ", "F.US.ENQ", "0.25", "5", "20"),
    ("MNQ", "F.US.MNQ", "0.25", "0.5", "2"),
    ("RTY", "F.US.RTY", "0.1", "5", "50"),
    ("M2K", "F.US.M2K", "0.1", "0.5", "5"),
    ("YM", "F.US.YM", "1", "5", "5"),
    ("MYM", "F.US.MYM", "1", "0.5", "0.5"),
    ("NKD", "F.US.NKD", "5", "25", "5"),
    ("MBT", "F.US.MBT", "5", "0.5", "0.1"),
    ("MET", "F.US.GMET", "0.5", "0.05", "0.1"),
    ("CL", "F.US.CLE", "0.01", "10", "1000"),
    ("MCL", "F.US.MCLE", "0.01", "1", "100"),
    ("QM", "F.US.NQM", "0.025", "12.5", "500"),
    ("NG", "F.US.NGE", "0.001", "10", "10000"),
    ("MNG", "F.US.MNG", "0.001", "1", "1000"),
    ("QG", "F.US.NQG", "0.005", "12.5", "2500"),
    ("RB", "F.US.RBE", "0.0001", "4.2", "42000"),
    ("HO", "F.US.HOE", "0.0001", "4.2", "42000"),
    ("GC", "F.US.GCE", "0.1", "10", "100"),
    ("MGC", "F.US.MGC", "0.1", "1", "10"),
    ("SI", "F.US.SIE", "0.005", "25", "5000"),
    ("SIL", "F.US.SIL", "0.005", "5", "1000"),
    ("HG", "F.US.CPE", "0.0005", "12.5", "25000"),
    ("MHG", "F.US.MHG", "0.0005", "1.25", "2500"),
    ("PL", "F.US.PLE", "0.1", "5", "50"),
    ("6A", "F.US.DA6", "0.00005", "5", "100000"),
    ("6B", "F.US.BP6", "0.0001", "6.25", "62500"),
    ("6C", "F.US.CA6", "0.00005", "5", "100000"),
    ("6E", "F.US.EU6", "0.00005", "6.25", "125000"),
    ("6J", "F.US.JY6", "0.0000005", "6.25", "12500000"),
    ("6S", "F.US.SF6", "0.00005", "6.25", "125000"),
    ("6M", "F.US.MX6", "0.00001", "5", "500000"),
    ("6N", "F.US.NE6", "0.00005", "5", "100000"),
    ("E7", "F.US.EEU", "0.0001", "6.25", "62500"),
    ("M6A", "F.US.M6A", "0.0001", "1", "10000"),
    ("M6B", "F.US.M6B", "0.0001", "0.625", "6250"),
    ("M6E", "F.US.M6E", "0.0001", "1.25", "12500"),
    ("ZT", "F.US.TUA", "0.00390625", "7.8125", "2000"),
    ("ZF", "F.US.FVA", "0.0078125", "7.8125", "1000"),
    ("ZN", "F.US.TYA", "0.015625", "15.625", "1000"),
    ("TN", "F.US.TNA", "0.015625", "15.625", "1000"),
    ("ZB", "F.US.USA", "0.03125", "31.25", "1000"),
    ("UB", "F.US.ULA", "0.03125", "31.25", "1000"),
    ("ZC", "F.US.ZCE", "0.25", "12.5", "50"),
    ("ZS", "F.US.ZSE", "0.25", "12.5", "50"),
    ("ZW", "F.US.ZWA", "0.25", "12.5", "50"),
    ("ZM", "F.US.ZME", "0.1", "10", "100"),
    ("ZL", "F.US.ZLE", "0.01", "6", "600"),
    ("LE", "F.US.GLE", "0.025", "10", "400"),
    ("HE", "F.US.HE", "0.025", "10", "400"),
];

fn contract(row: &(&str, &str, &str, &str, &str)) -> Contract {
    let (root, symbol, tick_size, tick_value, _) = row;
    let code = symbol.trim_start_matches("F.US.");
    let broker = BrokerContract {
        id: format!("CON.F.US.{code}.Z26"),
        name: format!("{root}Z6"),
        tick_size: Decimal::parse(tick_size.as_bytes()).expect("a tick size"),
        tick_value: Decimal::parse(tick_value.as_bytes()).expect("a tick value"),
        is_active: true,
        symbol_id: (*symbol).to_owned(),
        ..BrokerContract::default()
    };
    Contract::from_broker(ContractIndex(0), &broker).expect("a good contract")
}

fn peer(text: &str) -> Peer {
    text.parse().expect("a decimal")
}

/// A price as `rust_decimal` sees it, digits and all.
fn peer_price(row: &(&str, &str, &str, &str, &str), ticks: i64) -> Peer {
    peer(row.2) * Peer::from(ticks)
}

#[test]
fn the_table_agrees_with_itself_and_with_the_roots() {
    for row in &PRODUCTS {
        let contract = contract(row);
        assert_eq!(
            peer(row.2) * peer(row.4),
            peer(row.3),
            "{}: tick size x point value",
            row.0
        );
        assert_eq!(
            Peer::from(contract.tick_value.0),
            peer(row.3) * Peer::from(10_000),
            "{}",
            row.0
        );
        assert_eq!(contract.root, row.0);
    }
}

#[test]
fn a_tick_between_two_ticks_is_off_every_grid() {
    for row in &PRODUCTS {
        let contract = contract(row);
        for ticks in [-3, -1, 0, 1, 88_001] {
            let between = peer_price(row, ticks) + peer(row.2) / Peer::from(2);
            let expected = PriceError::OffGrid {
                below: Ticks(ticks),
                above: Ticks(ticks + 1),
            };
            assert_eq!(
                contract.ticks_from_decimal(&between.to_string()),
                Err(expected),
                "{}",
                row.0
            );
        }
    }
}

/// A price in 32nds, told naively: whole points, 32nds, and the third digit for the fraction of a 32nd.
fn text_of_256ths(units: i64) -> String {
    let sign = if units < 0 { "-" } else { "" };
    let size = units.unsigned_abs();
    let (whole, thirty_seconds, eighths) = (size / 256, size % 256 / 8, size % 8);
    let digit = ["0", "1", "2", "3", "5", "6", "7", "8"][eighths as usize];
    format!("{sign}{whole}'{thirty_seconds:02}{digit}")
}

#[test]
fn treasuries_read_in_32nds_as_traders_write_them() {
    let contract_of =
        |root: &str| contract(PRODUCTS.iter().find(|row| row.0 == root).expect("listed"));
    let price = |root: &str, text: &str| {
        let contract = contract_of(root);
        thirty_seconds::ticks(&contract, text).map(|ticks| contract.price_text(ticks))
    };
    assert_eq!(price("ZN", "110'165"), Ok("110.515625".into()));
    assert_eq!(price("ZB", "117'16"), Ok("117.50000".into()));
    assert_eq!(price("ZF", "107'082"), Ok("107.2578125".into()));
    assert_eq!(price("ZT", "103'161"), Ok("103.50390625".into()));
    assert_eq!(price("ZT", "-0'011"), Ok("-0.03515625".into()));
    let between = PriceError::OffGrid {
        below: Ticks(3_744),
        above: Ticks(3_745),
    };
    assert_eq!(price("ZB", "117'005"), Err(between));
    for unreadable in [
        "110'325", "110'4", "110'164", "110'169", "110'1655", "'16", "110'", "1e2'16", "110.5",
    ] {
        assert_eq!(
            price("ZN", unreadable),
            Err(PriceError::Unreadable),
            "{unreadable}"
        );
    }
}

proptest! {
    #[test]
    fn every_tick_of_every_product_survives_every_conversion(
        index in 0_usize..PRODUCTS.len(), ticks in -2_000_000_i64..20_000_000, lots in 1_i64..200,
    ) {
        let row = &PRODUCTS[index];
        let contract = contract(row);
        let ticks = Ticks(ticks);
        let text = contract.price_text(ticks);
        prop_assert_eq!(text.parse::<Peer>().expect("a decimal"), peer_price(row, ticks.0), "{}", row.0);
        prop_assert_eq!(contract.ticks_from_decimal(&text), Ok(ticks));
        prop_assert_eq!(contract.ticks(contract.price(ticks)), Ok(ticks));
        prop_assert_eq!(contract.ticks_from_decimal(&contract.price(ticks).to_string()), Ok(ticks));
        prop_assert_eq!(contract.ticks_1e4(contract.price(ticks)), Some(ticks.0 * 10_000));
        let value = peer_price(row, ticks.0) * peer(row.4) * Peer::from(lots);
        let ours = Money(contract.tick_value.0 * ticks.0 * lots);
        prop_assert_eq!(Peer::from(ours.0), value * Peer::from(10_000));
    }

    #[test]
    fn every_tick_of_a_treasury_survives_its_32nds(
        root in prop::sample::select(vec!["ZT", "ZF", "ZN", "TN", "ZB", "UB"]), ticks in -100_000_i64..100_000,
    ) {
        let row = PRODUCTS.iter().find(|row| row.0 == root).expect("listed");
        let contract = contract(row);
        let units = peer_price(row, ticks) * Peer::from(256);
        let units: i64 = units.try_into().expect("ticks are whole 256ths");
        prop_assert_eq!(thirty_seconds::ticks(&contract, &text_of_256ths(units)), Ok(Ticks(ticks)));
    }
}
