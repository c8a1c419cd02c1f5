"""Who stands behind the three letters of a manufacturer.

The letters are assigned by the DLMS User Association (FLAG); the table has those whose
meters are met on wires. Its order is that of a search: the most usual first.
"""
from __future__ import annotations

from mbusgw.model.meter import manufacturer_code

_USUAL = """
KAM Kamstrup | LUG Landis+Gyr | DME Diehl Metering | HYD Hydrometer (Diehl) | SEN Sensus | ELS Elster
ACW Itron (water and heat) | ITW Itron (water) | EFE Engelmann Sensor | ZRI Zenner | ZRM Zenner | SON Sontex
QDS Qundis | AMT Aquametro | AQM Aquametro | REL Relay | TCH Techem | IST ista | ABB ABB | EMU EMU Elektronik
GAV Carlo Gavazzi | ELV Elvaco | SBC Saia-Burgess Controls | FIN Finder | SPX Spanner-Pollux (Sensus)
SLB Schlumberger (Itron) | SVM Svensk Värmemätning | ITR Itron | ITK Itron | LSE Landis & Staefa
LSZ Siemens Building Technologies | LGB Landis+Gyr (gas) | LGD Landis+Gyr (Germany) | LGZ Landis+Gyr (Zug)
LSP Landis+Gyr | SIE Siemens | GWF GWF | MAD Maddalena | BMT BMETERS | BMP BMETERS (Poland) | APA Apator
APT Apator | AMX Apator Metrix | MII Apator Miitors | AXI Axis Industries | DFS Danfoss | NZR NZR | EMH EMH metering
BEC Berg | HAG Hager | SCH Schinzel | SEC Schneider Electric | SOC Socomec | JAN Janitza | INM Inepro Metering
INE Innotas | INP Innotas | PAD PadMess | PII PiiGAB | RAM Rossweiner | WZG Neumann (Wasserzähler Glaubitz)
RKE Raab Karcher (ista) | VES Viterra (ista) | MWU Metrona | MET Metra Energie-Messtechnik | BHG Brunata
CLO Clorius | INV Invensys (Sensus) | MEI Meinecke (Sensus) | PMG Spanner-Pollux (Sensus) | SPL Sappel (Diehl)
SAP Sappel (Diehl) | MDE Diehl Metering (Germany) | DGM Diehl Gas Metering | HYG Hydrometer Group (Diehl)
KAA Kamstrup | KAS Kamstrup | KAW Kamstrup | KMB Kamstrup | ACE Actaris (electricity) | ACG Actaris (gas)
ITE Itron (electricity) | ITG Itron (gas) | GMC Gossen Metrawatt (GMC-I) | DWZ Lorenz | DZG DZG Metering
SEO Sensoco | GTE Greatech (Sensoco) | EMT Elster Messtechnik | ELR Elster Metering | KRO Kromschröder
RMG RMG Messtechnik | STO ABB Stotz-Kontakt | ABR ABB (Czech Republic) | ALG Algodue | AEG AEG
"""

_OTHERS = """
ACT Activis Metering | ADD ADD Production | ADN Aidon | AEL Kohler | AEM AEM | AER Aerzener Maschinenfabrik
AFX Alflex | ALT Amplitec | AMB Amber wireless | AMP Ampy Automation | AMR Actislink | APS Apsis | AQL Aqualoc
AQT Aquatherm | AQU Aquamess | ARD Arad | ARF Adeunis | ARM arivus metering | AYS Euromet | BAM Bachmann
BAR Bär Industrie-Elektronik | BEF Befega | BER Bernina Electronic | BFW BFW | BJY Joyo | BME Beifeng
BMI Badger Meter | BRA Brandes | BSE Basari Elektronik | BSS Baylan | BST Bestas | BSX BS-Messtechnik
BTR RIA-BTR (Metz Connect) | BUR Bopp & Reuther | BYL Baylan | BYW Baylan (water) | BZR Gebr. Bauer | CAL Caleffi
CBI Circuit Breaker Industries | CIR Circutor | CMC CMC Ekocon | CON Conlog | CPG CentraPlus | CTE Coster
CTX Contronix | CZA Contazara | CZM Cazzaniga | DAE DAE | DAN Danubia | DEL Deltamess | DEV Develco | DIE Dielen
DNT Dr. Neuhaus | DOM Domat | DRT Dresser | EAH Endress+Hauser | EAS EAS Elektronik | EBZ eBZ | ECM Ecomess
EDM EDMI | EFA Efacec | EFR EFR | EGA eGain | EGD EcoGuard | EGM Elgama | EGW Enermess | EIE Ei Electronics
EKT Kvant | ELD Elektromed | ELE Elster (electricity) | ELG Elgas | ELM Elektromed | ELT Eltako | EML Emlite
EMM Email Metering | EMO Enermet | EMR Energomera | END Endys | ENE Enerdis | ENI entec innovations
ENP Kiev Polytechnical Research | ENT Entes | ERL Erelsan | ESE ESE Nordic | ESS Energy Saving Systems
ESY EasyMeter | EUE E+E Elektronik | EUR Eurometers | EWT Elin Wasserwerkstechnik | FAN Fantini Cosmi
FED Federal Elektrik | FFD Fast Forward | FIO Pietro Fiorentini | FLG Flomag | FLO Flonidan | FLW Fluidwell
FLX Flexim | FML Siemens Measurements | FRE Frer | FTL Tritschler | GBJ Grundfos | GEC GEC Meters | GMT GMT
GRA Grässlin | GSP Ingenieurbüro Gasperowicz | HEG Hamburger Elektronik | HEI Hydro-Eco-Invest | HEL Heliowatt
HGM HG meter | HMU Hugo Müller | HOE Höntzsch | HON Honeywell | HRS HomeRider | HTC Horstmann | HTS HTS-Elektronik
HUK Helbeck & Kusemann | HXE Hexing | HZC Huizhong | HZI Huizhong | ICM Intracom | ICT ICM-Technologies | IDE IMIT
IHM Inhemeter | ISK Iskraemeco | ISO Isoil | ISS Iskra | IWK IWK Regler und Kompensatoren | JCE Janz (electricity)
JGF Janz (fluids) | JMT JM-Tronic | JSO Schlösser Armaturen | JUM Jumo | KBH K. Biesinger | KHL Kohler
KKE KK-Electronic | KMT Krohne | KNX KNX users | KRT Karat | KST Kundo SystemTechnik | KSY Kundo SystemTechnik
LAS Lansen Systems | LEM LEM | LHA Atlantic Meters | LML Lumel | LOG Logarex | LOV Lovato Electric | LYE Linyang
MBS MBS | MEE Metron | MIT Meter Italia | MKS Mak-Say | MNS Manas | MPR Michael Rac | MPS Multiprocessor Systems
MTC Metering Technology Corporation | MTM Metrum | MTR Meter | MTS MeteRSit | NDM Northern Design
NIK NIK-Elektronika | NIS Nisko | NMS Nisko | NRM Norm Elektronik | NTM Netinium | NVD Meter
NWM Ningbo Water Meter | ONR Onur | ONS Onur | OPT Optec | ORB Orbis | OSA Osaki Electric | PAF Pafal
PIK pikkerton | PIP Pipersberg | PLO Ploumeter | PMS PMS-Elektronik | POZ Pozyton
PRI Polymeters Response International | PXC Phoenix Contact | RAC Michael Rac | RAD Radiocrafts
RAS Rubikon (Hydrometer) | RAY Rayleigh Instruments | RBM RBM | RIT Ritz | RMA RMA | RMT Richter Messtechnik
RSW RSW Technik | SAE SAE IT-systems | SAG Sagem | SAM Siemens (Austria) | SAN Sann | SAT Satec | SCA Seneca
SDC SdC | SDM Delu | SET Sagemcom | SFI Siemens (Denmark) | SGM Swiss Gas Metering | SHM Shanghai Metering
SIC SICK | SIM Sana Intelligent Meter; simulated meters | SIN Sinapsi | SLV solvimus | SMA smart-me
SMC Sierra Monitor | SME Siame | SML Siemens Measurements | SMP Sempal | SOF softflow.de | STC Sunrise
STF Stackforce | STZ Steinbeis | SYX SyxthSense | TEK Tekmar | THE Theben | TIL Thermal Integration | TIP TIP
TIX Tixi | TLM Theodor Lange | TLS TLS Energimätning | TOP KMB systems | TPL Teplocom | TRI Tritech | TTR Tetraedre
TWO 2Flow | UAG Uher | UGI United Gas Industries | UHM Micronics | VER Veraut | VIP VIPA
VPI Van Putten Instruments | WDN Webdyn | WEH Wehrle | WEP Weptech | WIG Wigersma & Sikkema | WMO Westermo
WTM Watertech | WTT Watertech | WUR Wurm | XEM Xemtec | XMX Xemex | YTE Yuksek Teknoloji | ZAG Zellweger Uster
ZAP Zaptronix | ZEL Zelisko | ZIV ZIV | ZPA ZPA Smart Energy | ZTY Chint
"""


def _table(text: str) -> dict[str, str]:
    entries = (entry.strip() for line in text.splitlines() for entry in line.split("|"))
    return {entry[:3]: entry[4:] for entry in entries if entry}


#: Three letters -> company, those most often met on wired buses first.
MANUFACTURERS: dict[str, str] = {**_table(_USUAL), **_table(_OTHERS)}

#: The codes of a selection in the order in which a search tries them; 0000 is that of meters without letters.
KNOWN_CODES: tuple[int, ...] = (*(manufacturer_code(letters) for letters in MANUFACTURERS), 0)


def company(letters: str | None) -> str | None:
    """Who builds the meters of ``letters``; None where it is not known. Any thread."""
    return None if letters is None else MANUFACTURERS.get(letters)
